"""What is said of an image that a model does not know how to read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from transformers import PreTrainedModel

from ..models.loading import TOY_FOLDER
from ..toy.photographs import is_photograph

PHOTOGRAPH_ADVICE = (
    "This looks like a photograph, of which the toy model knows nothing: name a model that does, such as "
    "CIDAS/clipseg-rd64-refined."
)


def is_toy(model: PreTrainedModel) -> bool:
    """Whether a model came with the library, and so knows drawings only."""
    return Path(model.name_or_path).is_relative_to(str(TOY_FOLDER))


def advise(model: PreTrainedModel, image: Image.Image) -> str | None:
    """A sentence that names the alternative where a toy model is shown a photograph, else None."""
    return PHOTOGRAPH_ADVICE if is_toy(model) and is_photograph(image) else None
