"""The two halves of the page: what is asked, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

import gradio as gr
from gradio import FileData
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from . import work
from .examples import Example
from .limits import Limits

_TEMPLATES = resources.files(__package__) / "templates"
HINT = """1. Upload an image, or pick an example.
2. Name objects and their parts, a line for each object.
3. Press *Find the parts*."""
PLACEHOLDER = "dog: head, ear, tail\nbus: wheel, window"
_PICK = """element.addEventListener("click", (event) => {
  const example = event.target.closest("button");
  if (example) trigger("select", { index: Number(example.dataset.index) });
});"""
_SELECT = """element.addEventListener("click", (event) => {
  const part = event.target.closest(".part");
  if (part) trigger("select", { part: part.innerText });
});"""


def template(name: str) -> str:
    """The text of a template of the page."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


class InputPanel(NamedTuple):
    """The left half: the image, the parts to look for, models, and settings."""

    button: gr.Button
    image: gr.Image
    text: gr.Textbox
    gallery: gr.HTML
    model: gr.Dropdown
    example: gr.State
    inputs: list[gr.components.Component]  # the image, then the fields of `Question`


class ResultPanel(NamedTuple):
    """The right half: what was found. It appears with the first result."""

    view: gr.State
    hint: gr.Markdown
    viewer: gr.HTML
    switches: gr.CheckboxGroup
    table: gr.HTML
    link: gr.Textbox
    outputs: list[gr.components.Component]  # everything that changes with a result


def input_panel(models: Sequence[str], examples: Sequence[Example], limits: Limits) -> InputPanel:
    """Lays out the left half; `examples` are those of the first model."""
    image = gr.Image(
        label=f"Image (JPEG, PNG, WebP; up to {limits.file_size >> 20} MB)",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=300,
        buttons=[],
        elem_id="image",
    )
    # gradio would open the file, and say nothing helpful if it cannot. (An update of other than its value undoes this.)
    image.preprocess = lambda upload: None if upload is None else upload.path
    gr.Markdown("Or pick an example:", elem_classes="aside")
    gallery = gr.HTML(
        gallery_items(examples),
        html_template=template("examples.html"),
        js_on_load=_PICK,
        apply_default_css=False,
        elem_id="examples",
    )
    text = gr.Textbox(
        label="Objects and their parts",
        info="A line for each object, for example  dog: head, ear, tail; or words alone:  a red door",
        placeholder=PLACEHOLDER,
        lines=3,
        max_lines=12,
        max_length=limits.characters,
        elem_id="words",
    )
    with gr.Row(visible=len(models) > 1):
        model = gr.Dropdown(list(models), value=models[0], label="Model", elem_id="model")
        others = [("none", ""), *((name, name) for name in models)]
        other = gr.Dropdown(others, value="", label="Compare with", elem_id="other")
    boxes = _boxes(limits)
    settings = _settings()
    button = gr.Button("Find the parts", variant="primary", size="lg", elem_id="ask")
    example = gr.State(-1)
    inputs = [image, text, *settings, boxes, model, other, example]
    return InputPanel(button, image, text, gallery, model, example, inputs)


def gallery_items(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Examples as the gallery takes them."""
    folder = get_upload_folder()
    paths = [save_bytes_to_cache(example.png, "image.png", folder) for example in examples]
    return [{"name": example.name, "image": FileData(path=path).model_dump()} for example, path in zip(examples, paths)]


def _boxes(limits: Limits) -> gr.Textbox:
    with gr.Accordion("Where the objects are", open=False, elem_id="where"):
        explanation = "Drag over the image to mark an object, or write its box. Parts are then sought inside only."
        gr.HTML(f"<p>{explanation}</p>", js_on_load=template("boxes.js"), elem_id="mark")
        return gr.Textbox(
            "",
            label="Boxes",
            info="A line for each, in pixels:  dog: left, top, right, bottom",
            placeholder="dog: 10, 20, 200, 300",
            lines=2,
            max_lines=8,
            max_length=limits.characters,
            elem_id="boxes",
        )


def _settings() -> list[gr.components.Component]:
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        info = "Off: every pixel gets the best of the parts."
        background = gr.Checkbox(True, label="Leave the background empty", info=info)
        info = "What scores less stays empty; 0 for no limit."
        threshold = gr.Slider(0, 1, value=0, step=0.05, label="Lowest score", info=info)
        info = "Those with the highest scores; 0 for all."
        top_k = gr.Number(0, minimum=0, precision=0, label="At most so many parts", info=info)
    return [background, threshold, top_k]


def result_panel(several_models: bool, limits: Limits) -> ResultPanel:
    """Lays out the right half."""
    view = gr.State(None, time_to_live=limits.seconds)
    hint = gr.Markdown(HINT, elem_id="hint")
    with gr.Column(visible=False) as column:
        viewer = gr.HTML(
            html_template=template("viewer.html"),
            js_on_load=template("viewer.js"),
            apply_default_css=False,
            elem_id="found",
        )
        switches = gr.CheckboxGroup(
            [], label="Parts that are shown", show_select_all=True, interactive=True, elem_id="parts"
        )
        table = gr.HTML(js_on_load=_SELECT, elem_id="scores")
        gr.Markdown("Download, of the first model:" if several_models else "Download:", elem_classes="aside")
        with gr.Row(elem_id="downloads"):
            downloads = [
                gr.DownloadButton(label, size="sm", elem_id=f"download-{file.replace('.', '-')}")
                for label, file in work.DOWNLOADS.items()
            ]
        info = "It holds everything but an image of yours."
        link = gr.Textbox(label="Link to this question", info=info, buttons=["copy"], interactive=False, elem_id="link")
    outputs = [view, hint, column, viewer, switches, table, link, *downloads]
    return ResultPanel(view, hint, viewer, switches, table, link, outputs)
