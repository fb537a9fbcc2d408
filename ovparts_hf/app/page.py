"""The web page in gradio: its texts, its layout, and what happens on a click."""

from __future__ import annotations

import html
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image
from starlette.middleware import Middleware

from ..errors import ConfigurationError, OVPartsError
from ..inference.advice import advise
from ..inference.result import OVERLAY_EDGE, PartSegmentation
from ..inference.segmenter import PartSegmenter
from ..toy.world import TOY_WORLD
from ..utils.deadline import time_limit
from . import work
from .body import BodyLimit
from .gate import Gate
from .limits import Limits

logger = logging.getLogger(__name__)

INTRO = """# Find the parts of things, in your words

Give an image, name objects and their parts, and get the pixels of each part."""
HINT = """1. Upload an image, or pick an example.
2. Name objects and their parts, a line for each object.
3. Press *Find the parts*."""
PLACEHOLDER = "dog: head, ear, tail\nbus: wheel, window"
CSS = (resources.files(__package__) / "templates" / "app.css").read_text(encoding="utf-8")
THEME = gr.themes.Base(
    primary_hue="teal",
    neutral_hue="slate",
    radius_size="md",
    font=("system-ui", "-apple-system", "Segoe UI", "sans-serif"),
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "monospace"),
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    body_text_color_subdued="*neutral_500",
    block_info_text_color="*neutral_500",
    block_label_text_color="*neutral_600",
    block_title_text_color="*neutral_700",
)


class InputPanel(NamedTuple):
    """The left half: the image, the parts to look for, and settings."""

    text: gr.Textbox
    button: gr.Button
    inputs: list[gr.components.Component]  # the arguments of `work.find_parts` after the segmenter


class ResultPanel(NamedTuple):
    """The right half: what was found. It appears with the first result."""

    result: gr.State
    hint: gr.Markdown
    image: gr.Image
    switches: gr.CheckboxGroup
    outputs: list[gr.components.Component]  # everything that changes with a result


def build_page(segmenter: PartSegmenter, limits: Limits, concurrency: int) -> gr.Blocks:
    """See `ovparts_hf.app.build_app`."""
    with gr.Blocks(
        title="Parts of an image, in your words",
        analytics_enabled=False,
        delete_cache=(min(600, limits.seconds), limits.seconds),
    ) as page:
        gr.Markdown(INTRO, elem_id="intro")
        if work.is_toy(segmenter):
            gr.Markdown(_toy_note(), elem_id="note")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                inputs = _input_panel(limits)
            with gr.Column(scale=6, min_width=320):
                results = _result_panel(limits)
        known = _known_parts(segmenter)
        if known:
            with gr.Accordion("Words that this model has learned", open=False, elem_id="known"):
                gr.Markdown(known)
        _connect(segmenter, limits, concurrency, inputs, results)
    return page.queue(max_size=limits.waiting, default_concurrency_limit=concurrency)


def serve(page: gr.Blocks, limits: Limits, host: str | None, port: int | None, block: bool) -> gr.Blocks:
    """See `ovparts_hf.app.launch_app`."""
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            max_file_size=limits.file_size,
            max_threads=40 + 2 * limits.waiting,  # gradio's default, and a place for each request at the two gates
            app_kwargs={"middleware": [Middleware(BodyLimit, size=limits.file_size + 2**20)]},  # a file, or words
            state_session_capacity=limits.visitors,
            run_history=False,
            enable_monitoring=False,
            theme=THEME,
            css=CSS,
        )
    except OSError as error:
        raise ConfigurationError(f"The page cannot be served: {error} Choose another port.") from error
    logger.info("The page is at %s; Ctrl-C ends it.", page.local_url)
    if block:
        page.block_thread()
    return page


# ---- layout ----------------------------------------------------------------------------------------------------------


def _toy_note() -> str:
    count = len(TOY_WORLD.object_classes)
    unseen = [name for name in TOY_WORLD.object_classes if name not in TOY_WORLD.seen_objects]
    return (
        f"The model on this page is a **toy**. It has learned from drawings of {count} objects, and was never shown a "
        f"part of {len(unseen)} of them ({', '.join(unseen)}): those it has to infer from their names. Photographs and "
        "other words run through it, but what it answers there means nothing."
    )


def _known_parts(segmenter: PartSegmenter) -> str | None:
    """The parts that the model was trained on, as a list; None if it does not say."""
    class_names = segmenter.model.vocabulary or (TOY_WORLD.part_classes if work.is_toy(segmenter) else None)
    if class_names is None:
        return None
    objects = work.parts_by_object(class_names).items()
    lines = [f"* **{html.escape(name or 'words')}**: {html.escape(', '.join(parts))}" for name, parts in objects]
    return "\n".join(["Others can be asked for; whether they are found is another matter.", "", *lines])


def _input_panel(limits: Limits) -> InputPanel:
    image = gr.Image(
        label=f"Image (JPEG, PNG, WebP; up to {limits.file_size >> 20} MB)",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=300,
        buttons=[],
        elem_id="image",
    )
    # gradio would open the file, and say nothing helpful if it cannot.
    image.preprocess = lambda upload: None if upload is None else upload.path
    examples = work.examples()
    gr.Markdown("Or pick a drawing:", elem_classes="aside")
    gallery = gr.Gallery(
        [(example.image, example.name) for example in examples],
        label="Examples",
        show_label=False,
        container=False,
        columns=len(examples),
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        format="png",
        buttons=[],
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
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        info = "Off: every pixel gets the best of the parts."
        empty_background = gr.Checkbox(True, label="Leave the background empty", info=info)
        info = "What scores less stays empty; 0 for no limit."
        threshold = gr.Slider(0, 1, value=0, step=0.05, label="Lowest score", info=info)
        info = "Those with the highest scores; 0 for all."
        top_k = gr.Number(0, minimum=0, precision=0, label="At most so many parts", info=info)
    button = gr.Button("Find the parts", variant="primary", size="lg", elem_id="ask")

    def pick(event: gr.SelectData) -> tuple[Any, ...]:
        example = examples[event.index]
        return example.image, example.text, gr.Gallery(selected_index=None)

    outputs = [image, text, gallery]
    gallery.select(pick, None, outputs, api_visibility="private", show_progress="hidden", queue=False)
    return InputPanel(text, button, [image, text, empty_background, threshold, top_k])


def _result_panel(limits: Limits) -> ResultPanel:
    result = gr.State(None, time_to_live=limits.seconds)
    hint = gr.Markdown(HINT, elem_id="hint")
    with gr.Column(visible=False) as column:
        image = gr.Image(
            label="What was found",
            interactive=False,
            format="png",
            buttons=["fullscreen"],
            elem_id="found",
            alt_text="The image with its parts painted in the colors of the list below",
        )
        switches = gr.CheckboxGroup(
            [], label="Parts that are shown", show_select_all=True, interactive=True, elem_id="parts"
        )
        table = gr.HTML(elem_id="scores")
        gr.Markdown("Download:", elem_classes="aside")
        with gr.Row(elem_id="downloads"):
            downloads = [
                gr.DownloadButton(label, size="sm", elem_id=f"download-{file.replace('.', '-')}")
                for label, file in work.DOWNLOADS.items()
            ]
    outputs = [result, hint, column, image, switches, table, *downloads]
    return ResultPanel(result, hint, image, switches, outputs)


# ---- events ----------------------------------------------------------------------------------------------------------


def _connect(
    segmenter: PartSegmenter, limits: Limits, concurrency: int, inputs: InputPanel, results: ResultPanel
) -> None:
    finding, switching = Gate(limits, concurrency), Gate(limits, concurrency)

    async def find(request: gr.Request, *values: Any) -> list[Any]:
        with _messages():
            answer = await finding.run(request.client.host, _answer, segmenter, values, limits)
        advice = advise(segmenter.model, answer[0].image)
        if advice is not None:
            gr.Warning(advice, title="A photograph", duration=20)
        return answer

    async def switch(request: gr.Request, shown: PartSegmentation | None, parts: list[str]) -> Any:
        with _messages():
            if shown is None:
                raise OVPartsError("This answer is no longer kept. Ask again.")
            return await switching.run(request.client.host, _painted, shown, parts)

    triggers, busy = [inputs.button.click, inputs.text.submit], [results.hint, results.image]
    options = {"api_visibility": "private", "concurrency_limit": None}  # the gates have limits of their own
    gr.on(triggers, find, inputs.inputs, results.outputs, show_progress_on=busy, **options)
    options |= {"show_progress": "hidden", "trigger_mode": "always_last"}
    results.switches.input(switch, [results.result, results.switches], results.image, **options)


def _answer(segmenter: PartSegmenter, values: Sequence[Any], limits: Limits) -> list[Any]:
    """What `ResultPanel.outputs` become, for the values of `InputPanel.inputs`."""
    with time_limit(limits.time_limit), _new_folder() as folder:
        result = work.find_parts(segmenter, *values, limits)
        work.write_files(result, folder)
        shown = result.shrunk(OVERLAY_EDGE)
        return [
            shown,
            gr.Markdown(visible=False),
            gr.Column(visible=True),
            _painted(shown),
            gr.CheckboxGroup(list(shown.found), value=list(shown.found)),
            work.table(result),
            *(folder / file for file in work.DOWNLOADS.values()),
        ]


def _painted(shown: PartSegmentation, parts: Sequence[str] | None = None) -> Image.Image:
    return shown.overlay(legend=False, only=parts)


@contextmanager
def _new_folder() -> Iterator[Path]:
    """One for files to download, which goes again if they are not finished."""
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder)
        raise


@contextmanager
def _messages() -> Iterator[None]:
    """Shows errors; gradio does so as HTML, and they may quote what a visitor typed."""
    try:
        yield
    except OVPartsError as error:
        message = html.escape(str(error))
        raise gr.Error(message, title="That did not work", duration=20, print_exception=False) from error
