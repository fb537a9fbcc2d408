// Marks objects: dragging over the image to be asked about adds a line to the text field of the boxes.
const image = () => document.querySelector("#image img");
const field = () => document.querySelector("#boxes textarea");
const words = () => document.querySelector("#words textarea").value;
const open = () => field()?.offsetParent && image();
const layer = document.createElement("div");
layer.className = "boxes-layer";
let start = null;

// Where the image's pixels are inside its element, and how large one of them is.
function placed() {
  const element = image(), box = element.getBoundingClientRect();
  const fit = Math.min(box.width / element.naturalWidth, box.height / element.naturalHeight);
  const scale = getComputedStyle(element).objectFit === "scale-down" ? Math.min(fit, 1) : fit;
  const [width, height] = [element.naturalWidth, element.naturalHeight];
  return { left: box.left + (box.width - scale * width) / 2, top: box.top + (box.height - scale * height) / 2, scale, width, height };
}

function pixel(event) {
  const { left, top, scale, width, height } = placed();
  const bounded = (value, most) => Math.round(Math.min(Math.max(value / scale, 0), most));
  return [bounded(event.clientX - left, width), bounded(event.clientY - top, height)];
}

const corners = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
const given = () => [...field().value.matchAll(/(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)/g)].map((found) => found.slice(1).map(Number));

function show(extra = []) {
  layer.replaceChildren();
  if (!open()) return;
  image().parentElement.append(layer);
  const { left, top, scale } = placed(), origin = layer.getBoundingClientRect();
  for (const [x0, y0, x1, y1] of [...given(), ...extra]) {
    const box = document.createElement("div");
    Object.assign(box.style, {
      left: `${left - origin.left + scale * x0}px`, top: `${top - origin.top + scale * y0}px`,
      width: `${scale * (x1 - x0)}px`, height: `${scale * (y1 - y0)}px`,
    });
    layer.append(box);
  }
}

// The first object that is named and has no box yet; the last one, if each has one.
function objectName() {
  const names = [...words().matchAll(/(?:^|[;\n])\s*([^:;\n]+?)\s*:/g)].map((found) => found[1]);
  return names.find((name) => !field().value.includes(`${name}:`)) ?? names.at(-1);
}

function write(box) {
  const line = `${objectName() ? `${objectName()}: ` : ""}${box.join(", ")}`;
  field().value = [field().value.trimEnd(), line].filter(Boolean).join("\n");
  field().dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("pointerdown", (event) => {
  if (!open() || event.target !== image()) return;
  event.preventDefault();
  image().setPointerCapture(event.pointerId);
  start = pixel(event);
});
document.addEventListener("pointermove", (event) => start && show([corners(start, pixel(event))]));
document.addEventListener("pointerup", (event) => {
  if (!start) return;
  const box = corners(start, pixel(event));
  start = null;
  if (box[2] > box[0] && box[3] > box[1]) write(box);
  show();
});
document.addEventListener("dragstart", (event) => open() && event.target === image() && event.preventDefault());
document.addEventListener("input", (event) => event.target === field() && show());
document.addEventListener("load", (event) => event.target === image() && show(), true);
const observer = new ResizeObserver(() => {
  image()?.classList.toggle("marking", Boolean(open()));
  show();
}); // the panel opens and closes, the image changes its size
observer.observe(element);
observer.observe(document.querySelector("#image"));
