"""Segmenters of transformers that know the classes that they were trained with, and no others."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from ...errors import ConfigurationError, OVPartsError
from .base import AdapterProcessor, SegmenterAdapter
from .prompts import phrase

logger = logging.getLogger(__name__)

_UNNAMED = re.compile(r"LABEL_\d+")
_BACKGROUND = "background"


class ClosedVocabularyAdapter(SegmenterAdapter):
    """Base class of the adapters for such models. They have `probabilities`.

    A class is those of the model's labels that are spelled like it, ignoring case, or that `class_names` maps to it.
    "None" scores as the best of the other labels does.
    """

    class_names: Mapping[str, str] | None = None

    def set_up(self, processor: Any, class_names: Mapping[str, str] | None) -> None:
        """See `SegmenterAdapter.set_up`."""
        labels = self._labels
        if class_names is None and all(_UNNAMED.fullmatch(label) for label in labels):
            raise ConfigurationError(
                f"The classes of {self.name_or_path!r} have no names, only {labels[0]!r} and so on. Give class_names "
                '(`--class-names FILE`) that map them to parts, such as {"LABEL_3": "person\'s hair"}.'
            )
        unknown = sorted(set(class_names or ()) - set(labels))
        if unknown:
            raise ConfigurationError(
                f"class_names has {unknown[:5]}, which are no classes of {self.name_or_path!r}; its classes are "
                f"{labels[:10]} and so on."
            )
        self.class_names = class_names

    @property
    def _labels(self) -> list[str]:
        return [self.config.id2label[number] for number in range(self.config.num_labels)]

    @property
    def vocabulary(self) -> list[str]:
        """See `PartSegmentationModel.vocabulary`; without the background."""
        names = self._labels if self.class_names is None else self.class_names.values()
        return [name for name in dict.fromkeys(names) if name.lower() != _BACKGROUND]

    def describe(self) -> dict[str, Any]:
        """See `SegmenterAdapter.describe`."""
        return {"class_names": self.class_names and dict(self.class_names)}

    def encode_vocabulary(
        self, processor: AdapterProcessor, class_names: Sequence[str], progress: bool = False
    ) -> dict[str, torch.Tensor]:
        """See `PartSegmentationModel.encode_vocabulary`: (classes, labels), 1 where a label is of a class."""
        if not class_names:
            raise OVPartsError("The vocabulary is empty; give at least one class name.")
        if self.class_names is None:
            spellings = [{_plain(each) for each in [label, *label.split(",")]} for label in self._labels]
            wanted = [_plain(phrase(name, processor.prompt)) for name in class_names]
            rows = [[name in spelling for spelling in spellings] for name in wanted]
        else:
            rows = [[self.class_names.get(label) == name for label in self._labels] for name in class_names]
        missing = [name for name, row in zip(class_names, rows) if not any(row)]
        if len(missing) == len(class_names):
            raise ConfigurationError(
                f"{self.name_or_path!r} knows none of {missing[:5]}; its classes are {self._labels[:10]} and so on. "
                "Map them by class_names (`--class-names`), or change the wording (`--prompt part`)."
            )
        if missing:
            logger.warning("%s does not know, and will not find, %s.", self.name_or_path, ", ".join(missing))
        return {"class_features": torch.tensor(rows, dtype=torch.float32, device=self.device)}

    def probabilities(self, pixel_values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """(groups, h, w) float32, of the padded image, for groups of labels (groups, labels), 1 where one belongs."""
        raise NotImplementedError

    def score_image(
        self, inputs: dict[str, Any], classes: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `SegmenterAdapter.score_image`."""
        groups = classes["class_features"]
        others = torch.eye(groups.shape[1], device=groups.device)[groups.sum(0) == 0]
        maps = self.probabilities(inputs["pixel_values"], torch.cat([groups, others]))
        scores, of_others = _crop(maps, *inputs["extent"]).split([len(groups), len(others)])
        return scores, of_others.amax(0) if len(others) else torch.zeros_like(scores[0])


class SemanticSegmenter(ClosedVocabularyAdapter):
    """Models that score every label at every pixel."""

    kinds = {
        "beit": "BeitForSemanticSegmentation",
        "data2vec-vision": "Data2VecVisionForSemanticSegmentation",
        "sapiens2": "Sapiens2ForSemanticSegmentation",
        "segformer": "SegformerForSemanticSegmentation",
        "upernet": "UperNetForSemanticSegmentation",
    }

    def probabilities(self, pixel_values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """See `ClosedVocabularyAdapter.probabilities`."""
        logits = self.model(pixel_values=pixel_values).logits[0].float()
        return torch.einsum("gl,lhw->ghw", groups, logits.softmax(0))


class UniversalSegmenter(ClosedVocabularyAdapter):
    """Models whose queries propose masks with labels, scored as for semantic segmentation."""

    kinds = {
        "eomt": "EomtForUniversalSegmentation",
        "eomt_dinov3": "EomtDinov3ForUniversalSegmentation",
        "mask2former": "Mask2FormerForUniversalSegmentation",
        "maskformer": "MaskFormerForInstanceSegmentation",
        "oneformer": "OneFormerForUniversalSegmentation",
    }
    image_options = {"eomt": {"do_split_image": False, "do_pad": True}}
    image_options["eomt_dinov3"] = image_options["eomt"]

    def set_up(self, processor: Any, class_names: Mapping[str, str] | None) -> None:
        """See `SegmenterAdapter.set_up`; OneFormer is told its task."""
        super().set_up(processor, class_names)
        self.task: dict[str, torch.Tensor] = {}
        if self.config.model_type == "oneformer":
            prepared = processor(Image.new("RGB", (64, 64)), ["semantic"], return_tensors="pt")
            self.task = {"task_inputs": prepared["task_inputs"]}

    def probabilities(self, pixel_values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """See `ClosedVocabularyAdapter.probabilities`."""
        task = {name: tokens.to(self.device) for name, tokens in self.task.items()}
        outputs = self.model(pixel_values=pixel_values, **task)
        labels = outputs.class_queries_logits[0].float().softmax(-1)[:, :-1]
        return torch.einsum("gl,ql,qhw->ghw", groups, labels, outputs.masks_queries_logits[0].float().sigmoid())


def _plain(name: str) -> str:
    """A spelling to compare: "Dog's_Ear" and "dog ear" are the same."""
    return " ".join(name.lower().replace("_", " ").replace("'s ", " ").split())


def _crop(maps: torch.Tensor, height: float, width: float) -> torch.Tensor:
    """The upper left share of maps (n, h, w) that an image fills, at the size of the whole."""
    if height == width == 1:
        return maps
    corner = maps.new_tensor([[[width, 0, width - 1], [0, height, height - 1]]])
    grid = F.affine_grid(corner, [1, *maps.shape], align_corners=False)
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False)[0]
