"""The web page in gradio: what stands where, and what happens on a click."""

from __future__ import annotations

import html
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ..errors import ConfigurationError, OVPartsError
from ..inference.result import OVERLAY_EDGE, PartSegmentation
from ..inference.segmenter import PartSegmenter
from . import work
from .text import HINT, INTRO, PLACEHOLDER, known_words, note
from .work import Limits

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Question:
    """The left half: what is asked."""

    image: gr.Image
    words: gr.Textbox
    empty_background: gr.Checkbox
    threshold: gr.Slider
    top_k: gr.Number
    ask: gr.Button

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The arguments of `work.find_parts` after the segmenter."""
        return [self.image, self.words, self.empty_background, self.threshold, self.top_k]


@dataclass(frozen=True)
class Answer:
    """The right half: what was found. It appears with the first answer."""

    kept: gr.State
    hint: gr.Markdown
    column: gr.Column
    image: gr.Image
    switches: gr.CheckboxGroup
    table: gr.HTML
    label_map: gr.DownloadButton
    masks: gr.DownloadButton
    details: gr.DownloadButton
    overlay: gr.DownloadButton


def build_page(segmenter: PartSegmenter, limits: Limits, concurrency: int) -> gr.Blocks:
    """See `ovparts_hf.app.build_app`."""
    with gr.Blocks(
        title="Parts of an image, in your words",
        analytics_enabled=False,
        delete_cache=(min(600, limits.seconds), limits.seconds),
    ) as page:
        gr.Markdown(INTRO, elem_id="intro")
        if work.is_toy(segmenter):
            gr.Markdown(note(), elem_id="note")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                question = _question(limits)
            with gr.Column(scale=6, min_width=320):
                answer = _answer(limits)
        known = known_words(segmenter)
        if known:
            with gr.Accordion("Words that this model has learned", open=False, elem_id="known"):
                gr.Markdown(known)
        _connect(segmenter, limits, question, answer)
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
            show_error=False,
            footer_links=[],
            max_file_size=limits.file_size,
            state_session_capacity=limits.visitors,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
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


# ---- what stands where -----------------------------------------------------------------------------------------------


def _question(limits: Limits) -> Question:
    image = gr.Image(
        label=f"Image (JPEG, PNG, WebP; up to {limits.file_size >> 20} MB)",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=300,
        buttons=[],
        elem_id="image",
    )
    image.preprocess = _path  # gradio would open the file, and say nothing helpful if it cannot
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
    words = gr.Textbox(
        label="Objects and their parts",
        info="A line for each object, for example  dog: head, ear, tail",
        placeholder=PLACEHOLDER,
        lines=3,
        max_lines=12,
        max_length=limits.characters,
        elem_id="words",
    )
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        empty_background = gr.Checkbox(
            True,
            label="Leave the background empty",
            info="Off: every pixel gets the best of the parts.",
        )
        threshold = gr.Slider(
            0, 1, value=0, step=0.05, label="Lowest score", info="What scores less stays empty; 0 for no limit."
        )
        top_k = gr.Number(
            0, minimum=0, precision=0, label="At most so many parts", info="Those with the highest scores; 0 for all."
        )
    ask = gr.Button("Find the parts", variant="primary", size="lg", elem_id="ask")
    gallery.select(
        _picker(examples),
        None,
        [image, words, gallery],
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
    return Question(image, words, empty_background, threshold, top_k, ask)


def _path(upload: Any) -> str | None:
    return None if upload is None else upload.path


def _picker(examples: list[work.Example]) -> Callable[[gr.SelectData], tuple[Any, ...]]:
    def pick(event: gr.SelectData) -> tuple[Any, ...]:
        example = examples[event.index]
        return example.image, example.words, gr.Gallery(selected_index=None)

    return pick


def _answer(limits: Limits) -> Answer:
    kept = gr.State(None, time_to_live=limits.seconds)
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
            label_map = gr.DownloadButton("Label map (PNG)", size="sm", elem_id="download-label-map")
            masks = gr.DownloadButton("Masks (ZIP)", size="sm", elem_id="download-masks")
            details = gr.DownloadButton("Scores, masks (JSON)", size="sm", elem_id="download-details")
            overlay = gr.DownloadButton("Overlay (PNG)", size="sm", elem_id="download-overlay")
    return Answer(kept, hint, column, image, switches, table, label_map, masks, details, overlay)


# ---- what happens ----------------------------------------------------------------------------------------------------


def _connect(segmenter: PartSegmenter, limits: Limits, question: Question, answer: Answer) -> None:
    def find(*inputs: Any) -> dict[Any, Any]:
        result = _or_message(work.find_parts, segmenter, *inputs, limits)
        files = work.write_files(result, Path(tempfile.mkdtemp(dir=get_upload_folder())))
        kept = result.shrunk(OVERLAY_EDGE)
        return {
            answer.kept: kept,
            answer.hint: gr.Markdown(visible=False),
            answer.column: gr.Column(visible=True),
            answer.image: kept.overlay(legend=False),
            answer.switches: gr.CheckboxGroup(list(kept.found), value=list(kept.found)),
            answer.table: work.table(result),
            answer.label_map: files.label_map,
            answer.masks: files.masks,
            answer.details: files.details,
            answer.overlay: files.overlay,
        }

    def show(kept: PartSegmentation | None, chosen: list[str]) -> Any:
        if kept is None:
            raise _message("This answer is no longer kept. Ask again.")
        return kept.overlay(legend=False, only=chosen)

    outputs = list(vars(answer).values())
    gr.on(
        [question.ask.click, question.words.submit],
        find,
        question.inputs,
        outputs,
        api_visibility="private",
        show_progress_on=[answer.hint, answer.image],
    )
    answer.switches.input(
        show,
        [answer.kept, answer.switches],
        answer.image,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
    )


def _or_message(function: Callable[..., PartSegmentation], *arguments: Any) -> PartSegmentation:
    try:
        return function(*arguments)
    except OVPartsError as error:
        raise _message(str(error)) from error


def _message(text: str) -> gr.Error:
    """gradio shows messages as HTML, and this one may quote what a visitor typed."""
    return gr.Error(html.escape(text), title="That did not work", duration=20, print_exception=False)
