"""What happens on the page: an example is picked, parts are found, shown and hidden, and a link is opened."""

from __future__ import annotations

import html
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ..errors import OVPartsError
from ..inference.advice import advise
from ..inference.result import PartSegmentation
from ..inference.segmenter import PartSegmenter
from ..utils.deadline import time_limit
from . import work
from .examples import Example
from .gate import Gate
from .limits import Limits
from .panels import InputPanel, ResultPanel, gallery_items, template
from .question import Question
from .viewer import View

NOTHING = """**None of the parts was found.** Other words may fit better, and so may another image; or let the lowest
score be 0 and the background not be empty, under *Settings*."""
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_RESTORE = "() => [location.search]"


def connect_inputs(
    page: gr.Blocks, examples: Mapping[str, Sequence[Example]], inputs: InputPanel, limits: Limits
) -> None:
    """What fills in a question: examples, which depend on the model, and the address of the page."""

    def pick(event: gr.EventData, model: str) -> tuple[Any, ...]:
        example = examples[model][event.index]
        return example.image, example.text, event.index

    def restore(query: str) -> list[Any]:
        question = Question.from_query(query, limits)
        if question is None:
            return [None, *[gr.skip()] * len(inputs.inputs)]
        model = question.model if question.model in examples else next(iter(examples))
        shown = examples[model]
        known = 0 <= question.example < len(shown)
        return [
            shown[question.example].image if known else None,
            question.words,
            question.background,
            min(max(0.0, question.threshold), 1.0),
            max(0, question.top_k),
            question.boxes,
            model,
            question.other if question.other in examples else "",
            question.example if known else -1,
            gallery_items(shown),
        ]

    light = {**_PRIVATE, "queue": False}
    outputs = [inputs.image, inputs.text, inputs.example]
    inputs.gallery.select(pick, inputs.model, outputs, **light)
    gr.on([inputs.image.upload, inputs.image.clear], lambda: -1, None, inputs.example, **light)
    query = gr.Textbox(visible=False)
    page.load(restore, query, [*inputs.inputs, inputs.gallery], js=_RESTORE, **light)


def connect_answers(
    segmenters: Mapping[str, PartSegmenter],
    models: Mapping[str, Callable[..., PartSegmentation]],
    limits: Limits,
    concurrency: int,
    finding: Gate,
    inputs: InputPanel,
    results: ResultPanel,
) -> None:
    """What finds parts, and what paints some of them anew."""
    switching = Gate(limits, concurrency)

    async def find(request: gr.Request, *values: Any) -> list[Any]:
        with messages():
            answer = await finding.run(request.client.host, _answer, models, values, limits)
        for name, result in zip(_asked(models, *values[6:8]), answer[0].results):
            if advice := advise(segmenters[name].model, result.image):
                gr.Warning(advice, title="A photograph", duration=20)
                break
        return answer

    async def switch(request: gr.Request, view: View | None, parts: list[str]) -> tuple[View, Any]:
        with messages():
            return await switching.run(request.client.host, _repaint, view, parts, limits)

    async def highlight(
        event: gr.EventData, request: gr.Request, view: View | None, shown: list[str]
    ) -> tuple[View, Any, list[str]]:
        with messages():
            found = [] if view is None else work.found_by_any(view.results)
            parts = found if shown == [event.part] or event.part not in found else [event.part]
            return *await switching.run(request.client.host, _repaint, view, parts, limits), parts

    options = {"api_visibility": "private", "concurrency_limit": None}  # the gates have limits of their own
    busy = [results.hint, results.viewer]
    asked = gr.on(
        [inputs.button.click, inputs.text.submit],
        find,
        inputs.inputs,
        results.outputs,
        show_progress_on=busy,
        **options,
    )
    asked.success(None, results.link, results.link, js=template("answered.js"), api_visibility="private")
    options |= {"show_progress": "hidden", "trigger_mode": "always_last"}
    shown, painted = [results.view, results.switches], [results.view, results.viewer]
    results.switches.input(switch, shown, painted, **options)
    results.table.select(highlight, shown, [*painted, results.switches], **options)


def _answer(models: Mapping[str, Callable[..., PartSegmentation]], values: Sequence[Any], limits: Limits) -> list[Any]:
    """What `ResultPanel.outputs` become, for the values of `InputPanel.inputs`."""
    path, words, background, threshold, top_k, boxes, model, other, example = values
    names = _asked(models, model, other)
    model = names[0]
    question = Question(words, background, threshold, top_k, boxes, model if len(models) > 1 else "", other, example)
    with time_limit(limits.time_limit), new_folder() as folder:
        results = {
            name: work.find_parts(choose(models, name), path, words, background, threshold, top_k, boxes, limits)
            for name in names
        }
        first = next(iter(results.values()))
        work.write_files(first, folder)
        view = View.of(results, folder)
        found = work.found_by_any(results.values())
        return [
            view,
            gr.Markdown(NOTHING, visible=not found),
            gr.Column(visible=True),
            view.value,
            gr.CheckboxGroup(found, value=found),
            work.table(results),
            question.query(),
            *(folder / file for file in work.DOWNLOADS.values()),
        ]


def _asked(models: Mapping[str, Any], model: str | None, other: str | None) -> list[str]:
    """The names of the one or two models that are to answer."""
    first = model or next(iter(models))
    return list(dict.fromkeys([first, other or first]))


def _repaint(view: View | None, parts: Sequence[str], limits: Limits) -> tuple[View, Any]:
    if view is None:
        raise OVPartsError("This answer is no longer kept. Ask again.")
    with time_limit(limits.time_limit), new_folder() as folder:
        view = view.painted(parts, folder)
    return view, view.value


def choose(models: Mapping[str, Callable[..., PartSegmentation]], name: str | None) -> Callable[..., PartSegmentation]:
    """A model by its name; "" or None is the first."""
    if not name:
        return next(iter(models.values()))
    if name not in models:
        raise OVPartsError(f"{name!r} is no model of this page; its models are {list(models)}.")
    return models[name]


@contextmanager
def new_folder() -> Iterator[Path]:
    """One for files to download, which goes again if they are not finished."""
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder)
        raise


@contextmanager
def messages() -> Iterator[None]:
    """Shows errors; gradio does so as HTML, and they may quote what a visitor typed."""
    try:
        yield
    except OVPartsError as error:
        message = html.escape(str(error))
        raise gr.Error(message, title="That did not work", duration=20, print_exception=False) from error
