"""What programs may ask of the page: documented endpoints, which are also the tools of its MCP server."""

# Annotations are not postponed: gradio makes the endpoints' schemas of them, and the descriptions of their docstrings.
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr
from gradio import FileData
from gradio.utils import get_upload_folder, is_in_or_equal

from ..errors import OVPartsError
from ..inference.result import PartSegmentation
from ..inference.visualization import hex_colors
from ..utils.deadline import time_limit
from .events import choose, messages, new_folder
from .gate import Gate
from .limits import Limits
from .work import find_parts as find

_KINDS = {"parts": str, "model": str, "boxes": str, "background": bool, "threshold": (int, float), "top_k": int}


class FoundPart(TypedDict):
    """A part that was looked for: its area in pixels, 0 if it was not found, and the color of the overlay."""

    id: int
    name: str
    score: float
    area: int
    color: str


def add_endpoints(
    models: Mapping[str, Callable[..., PartSegmentation]],
    known: Mapping[str, list[str]],
    limits: Limits,
    finding: Gate,
) -> None:
    """Adds them to the page that is being built; visitors and programs wait in the same queue, within `limits`."""

    async def find_parts(
        image: FileData,
        parts: str,
        request: gr.Request,
        model: str = "",
        boxes: str = "",
        background: bool = True,
        threshold: float = 0.0,
        top_k: int = 0,
    ) -> tuple[list[FoundPart], FileData, FileData]:
        """Finds the pixels of parts of objects in an image, by their names, in whatever words the model understands.

        Args:
            image: The image: an uploaded file, or a "data:image/...;base64," address; others are not fetched.
            parts: What to look for: "dog: head, ear; bus: wheel" names parts of objects, "a red door" is free text.
            model: One of `list_models`; empty for the first.
            boxes: Where the objects are, in pixels: "dog: left, top, right, bottom; ..."; empty for anywhere.
            background: Whether pixels may be none of the parts; if not, each gets the best of them.
            threshold: From 0 to 1; what scores less is none of the parts. 0 for no limit.
            top_k: At most so many parts, those with the highest scores; 0 for all.

        Returns:
            Each part with its mean score and area; an overlay (PNG); the label map (PNG): ids of parts, 255 for none.
        """
        options = {
            "parts": parts,
            "model": model,
            "boxes": boxes,
            "background": background,
            "threshold": threshold,
            "top_k": top_k,
        }
        with messages():
            return await finding.run(request.client.host, _find, models, image, options, limits)

    def list_models() -> dict[str, list[str]]:
        """Lists the models of this page.

        Returns:
            The parts that each model has learned, by its name. Others can be asked for; an empty list is unknown.
        """
        return {name: list(parts) for name, parts in known.items()}

    gr.api(find_parts, api_name="find_parts", concurrency_limit=None)  # the gate has limits of its own
    gr.api(list_models, api_name="list_models", queue=False)


def _find(
    models: Mapping[str, Callable[..., PartSegmentation]], image: Any, options: Mapping[str, Any], limits: Limits
) -> tuple[list[FoundPart], FileData, FileData]:
    for name, value in options.items():
        if not isinstance(value, _KINDS[name]):
            raise OVPartsError(f"{name} is {value!r}, which is not of the type that the documentation names.")
    settings = [options[name] for name in ("background", "threshold", "top_k", "boxes")]
    with time_limit(limits.time_limit), new_folder() as folder:
        result = find(choose(models, options["model"]), _uploaded(image), options["parts"], *settings, limits)
        result.save(folder, details=False)
        areas, colors = result.areas(), hex_colors(result.classes)
        parts = [
            FoundPart(id=number, name=name, score=float(result.scores[number]), area=areas[name], color=colors[number])
            for number, name in enumerate(result.classes)
        ]
        overlay, labels = (FileData(path=str(folder / name)).model_dump() for name in ("overlay.png", "label_map.png"))
        return parts, overlay, labels


def _uploaded(image: Any) -> Path:
    """The path of an uploaded file; any other is refused, since gradio checks those alone that are marked as files."""
    path = image.get("path") if isinstance(image, dict) else None
    if not isinstance(path, str) or not is_in_or_equal(path, get_upload_folder()):
        raise OVPartsError("image is no uploaded file. Upload it first, as gradio's clients do.")
    return Path(path)
