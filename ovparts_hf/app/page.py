"""The web page in gradio: its texts and its layout, and how it is served."""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..errors import ConfigurationError
from ..inference.advice import is_toy
from ..inference.segmenter import PartSegmenter
from ..toy.world import TOY_WORLD
from .accelerator import on_accelerator
from .body import BodyLimit
from .endpoints import add_endpoints
from .events import connect_answers, connect_inputs
from .examples import examples_for, known_parts, parts_by_object
from .gate import Gate
from .limits import Limits
from .panels import gallery_items, input_panel, result_panel, template
from .uploads import UploadBlocks

logger = logging.getLogger(__name__)

INTRO = """# Find the parts of things, in your words

Give an image, name objects and their parts, and get the pixels of each part."""
KNOWN = "Words that this model has learned"
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


def build_page(segmenters: Mapping[str, PartSegmenter], limits: Limits, concurrency: int) -> gr.Blocks:
    """See `ovparts_hf.app.build_app`."""
    examples = {name: examples_for(segmenter) for name, segmenter in segmenters.items()}
    known = {name: known_parts(segmenter) for name, segmenter in segmenters.items()}
    about = {name: (_note(segmenter), _listed(known[name])) for name, segmenter in segmenters.items()}
    models = {name: on_accelerator(segmenter, limits.time_limit) for name, segmenter in segmenters.items()}
    finding = Gate(limits, concurrency)
    with UploadBlocks(
        title="Parts of an image, in your words",
        analytics_enabled=False,
        delete_cache=(min(600, limits.seconds), limits.seconds),
    ) as page:
        first = next(iter(segmenters))
        gr.Markdown(INTRO, elem_id="intro")
        note = gr.Markdown(about[first][0], visible=bool(about[first][0]), elem_id="note")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                inputs = input_panel(list(segmenters), examples[first], limits)
            with gr.Column(scale=6, min_width=320):
                results = result_panel(len(segmenters) > 1, limits)
        with gr.Accordion(KNOWN, open=False, elem_id="known", visible=bool(about[first][1])) as panel:
            words = gr.Markdown(about[first][1])

        def change(model: str) -> list[Any]:
            text, parts = about[model]
            items = gallery_items(examples[model])
            return [gr.Markdown(text, visible=bool(text)), gr.Accordion(visible=bool(parts)), parts, items]

        outputs = [note, panel, words, inputs.gallery]
        inputs.model.change(change, inputs.model, outputs, api_visibility="private", show_progress="hidden")
        connect_inputs(page, examples, inputs, limits)
        connect_answers(segmenters, models, limits, concurrency, finding, inputs, results)
        add_endpoints(models, known, limits, finding)
    return page.queue(max_size=limits.waiting, default_concurrency_limit=concurrency)


def serve(
    page: gr.Blocks, limits: Limits, host: str | None, port: int | None, block: bool, mcp_server: bool
) -> gr.Blocks:
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
            mcp_server=mcp_server,
            enable_monitoring=False,
            theme=THEME,
            css=template("app.css"),
            js=template("names.js"),
        )
    except OSError as error:
        raise ConfigurationError(f"The page cannot be served: {error} Choose another port.") from error
    logger.info("The page is at %s; Ctrl-C ends it.", page.local_url)
    if block:
        page.block_thread()
    return page


# ---- texts -----------------------------------------------------------------------------------------------------------


def _note(segmenter: PartSegmenter) -> str:
    """What a visitor has to know about the toy model; "" for others."""
    if not is_toy(segmenter.model):
        return ""
    count = len(TOY_WORLD.object_classes)
    unseen = [name for name in TOY_WORLD.object_classes if name not in TOY_WORLD.seen_objects]
    return (
        f"The model on this page is a **toy**. It has learned from drawings of {count} objects, and was never shown a "
        f"part of {len(unseen)} of them ({', '.join(unseen)}): those it has to infer from their names. Photographs and "
        "other words run through it, but what it answers there means nothing."
    )


def _listed(class_names: Sequence[str]) -> str:
    """Parts as a list; "" if there are none."""
    objects = parts_by_object(class_names).items()
    lines = [f"* **{html.escape(name or 'words')}**: {html.escape(', '.join(parts))}" for name, parts in objects]
    return (
        "\n".join(["Others can be asked for; whether they are found is another matter.", "", *lines]) if lines else ""
    )
