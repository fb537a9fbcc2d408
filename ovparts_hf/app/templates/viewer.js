// The picture of an answer: a divider, the strength of the paint, and what is at the pixel that is pointed at.
const rankings = new Map(); // address -> promise of its pixels
const one = (selector) => element.querySelector(selector);
const set = (name, value) => element.style.setProperty(name, value);
const pointer = { x: 0.5, y: 0.5 };

function pixels(url) {
  if (!rankings.has(url)) {
    if (rankings.size > 3) rankings.clear();
    rankings.set(url, new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        resolve(context.getImageData(0, 0, canvas.width, canvas.height));
      };
      image.onerror = reject;
      image.src = url;
    }));
  }
  return rankings.get(url);
}

function ranked({ data, width, height }, names) {
  const ranks = height / 4, row = Math.min(Math.floor(pointer.y * ranks), ranks - 1);
  const column = Math.min(Math.floor(pointer.x * width), width - 1);
  return [0, 1, 2, 3].map((rank) => {
    const [high, low, score] = data.slice(4 * ((rank * ranks + row) * width + column));
    const name = names[256 * high + low] ?? "none of the parts";
    return { name, score, text: score === 255 ? name : `${name} ${(score / 100).toFixed(2)}` };
  }).filter(({ score }, rank) => rank === 0 || score !== 255);
}

async function read() {
  set("--x", `${100 * pointer.x}%`);
  set("--y", `${100 * pointer.y}%`);
  element.classList.add("pointed");
  const { answers, names } = props.value;
  const lines = await Promise.all(answers.map(async ({ model, ranking }) => {
    const [own, ...others] = ranked(await pixels(ranking.url), names);
    const next = others.length ? `; next: ${others.map(({ text }) => text).join(", ")}` : "";
    return `${model ? `${model}: ` : ""}${own.text}${next}`;
  }));
  one(".readout").textContent = lines.join("\n");
}

function point(event) {
  const box = one(".painted").getBoundingClientRect();
  pointer.x = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  pointer.y = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 1);
  read();
}

element.addEventListener("pointermove", (event) => event.target.closest(".frame") && point(event));
element.addEventListener("click", (event) => {
  if (event.target.closest(".frame")) point(event);
  if (event.target.closest(".fill-screen")) one(".stage").requestFullscreen();
});
element.addEventListener("keydown", (event) => {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if (!event.target.closest(".stage") || !(x || y)) return;
  event.preventDefault();
  const step = event.shiftKey ? 0.1 : 0.01;
  pointer.x = Math.min(Math.max(pointer.x + step * x, 0), 1);
  pointer.y = Math.min(Math.max(pointer.y + step * y, 0), 1);
  read();
});
element.addEventListener("input", (event) => {
  if (event.target.matches(".split")) set("--split", `${event.target.value}%`);
  if (event.target.matches(".name")) element.classList.toggle("named", event.target.checked);
  if (event.target.matches(".strength")) set("--strength", event.target.value / 100);
});
element.addEventListener("load", ({ target }) => set("--ratio", target.naturalWidth / target.naturalHeight), true);

function label({ name, x, y }) {
  const span = document.createElement("span");
  span.textContent = name;
  const transform = `translate(${-100 * x}%, ${-100 * y}%)`; // which keeps it inside the picture
  Object.assign(span.style, { left: `${100 * x}%`, top: `${100 * y}%`, transform });
  return span;
}

let answer = null; // repainting keeps the divider where it is
function update() {
  if (!props.value) return;
  element.querySelectorAll(".labels").forEach((layer, index) => layer.replaceChildren(...props.value.labels[index].map(label)));
  if (props.value.plain.url === answer) {
    if (element.classList.contains("pointed")) read();
    return;
  }
  answer = props.value.plain.url;
  element.classList.remove("pointed");
  one(".readout").textContent = "Point at a pixel to read what is there.";
  one(".split").value = props.value.painted.length > 1 ? 50 : 0;
  set("--split", `${one(".split").value}%`);
}
watch("value", update);
update();
