"""The frozen CLIP that prompts are tuned for, with all that it needs to see and to read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, CLIPModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from ...errors import ConfigurationError

TOY = "toy"


@dataclass(frozen=True)
class StockCLIP:
    """A CLIP.

    Attributes:
        model: In float32 and evaluation mode.
        tokenizer: Of its text tower.
        mean: Per channel, of values 0 to 1: how it wants images normalised.
        std: As `mean`.
    """

    model: CLIPModel
    tokenizer: Any
    mean: tuple[float, ...] = tuple(OPENAI_CLIP_MEAN)
    std: tuple[float, ...] = tuple(OPENAI_CLIP_STD)

    @classmethod
    def load(cls, name_or_path: str | Path) -> StockCLIP:
        """Loads a stock CLIP.

        Args:
            name_or_path: A folder, a Hub repository, or "toy" for the small CLIP in this package.

        Raises:
            ConfigurationError: There is no such model, or it is not a CLIP.
        """
        location = str(name_or_path)
        if location == TOY:
            location = str(resources.files("ovparts_hf") / "toy" / "clip")
        try:
            kind = AutoConfig.from_pretrained(location).model_type
            if kind != "clip":
                raise ConfigurationError(f"{name_or_path!r} is a {kind!r} model; prompts are tuned for a stock 'clip'.")
            images = CLIPImageProcessorPil.from_pretrained(location)
        except OSError as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigurationError(f"No CLIP with a preprocessor at {name_or_path!r}: {reason}") from error
        model = CLIPModel.from_pretrained(location, dtype="float32").eval()
        tokenizer = AutoTokenizer.from_pretrained(location)
        return cls(model, tokenizer, tuple(images.image_mean), tuple(images.image_std))

    def check_region_size(self, region_size: int) -> None:
        """Checks that patches fill a region.

        Raises:
            ConfigurationError: They do not.
        """
        patch_size = self.model.config.vision_config.patch_size
        if region_size % patch_size:
            raise ConfigurationError(
                f"region_size is {region_size}; it must be a multiple of CLIP's {patch_size} pixels."
            )
