// After an answer: the address becomes the question's, and where little of the answer is to be seen it scrolls into view.
(query) => {
  history.replaceState(history.state, "", query);
  const found = document.querySelector("#found").getBoundingClientRect();
  if (found.top > innerHeight / 2 || found.bottom < 0) {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    document.querySelector("#found").scrollIntoView({ behavior, block: "start" });
  }
  return new URL(query, location.href).href;
}
