// Gives two of gradio's elements the name that they show.
() => {
  const mend = () => {
    document.querySelectorAll(".upload-container[aria-label]").forEach((button) => button.removeAttribute("aria-label"));
    document.querySelectorAll(".select-all-checkbox:not([aria-label])").forEach((box) => box.setAttribute("aria-label", "Show all parts"));
  };
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  mend();
}
