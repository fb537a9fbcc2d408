"""Running an export: a model of its family whose computations with weights are done elsewhere."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.utils.hub import cached_file

from ...errors import CheckpointError, ConfigurationError
from ...utils.files import brief, read_json
from ..auto import model_class
from ..configuration_utils import PartSegmentationConfig
from ..modeling_utils import PartSegmentationModel, PartSegmentationOutput
from .formats import check_format, runner_options
from .graphs import IMAGE, TEXT

if TYPE_CHECKING:
    from transformers.exporters import ExportedModel

MANIFEST = "export.json"
"""transformers' file that says what is in the folder of an export."""
TENSORS = "tensors.safetensors"
"""What a model keeps besides its graphs: the features of its own vocabulary."""


def tensors_to_keep(model: PartSegmentationModel) -> dict[str, torch.Tensor]:
    """What goes into `TENSORS`."""
    features = getattr(model, "class_features", None)
    return {} if features is None else {"class_features": features}


def load_exported(name_or_path: str | Path, config: PartSegmentationConfig) -> PartSegmentationModel:
    """Loads what `export_model` wrote, from a folder or the Hub, onto the CPU.

    Raises:
        ConfigurationError: A package that runs it is missing.
        CheckpointError: The folder holds another kind of export, or files that are not its own.
    """
    export_format = config.export_format
    check_format(export_format)
    from transformers.exporters import ExportedModel

    _check_manifest(read_json(cached_file(name_or_path, MANIFEST), CheckpointError), export_format)
    graphs = ExportedModel.from_pretrained(name_or_path, device="cpu", **runner_options(export_format))
    tensors = load_file(cached_file(name_or_path, TENSORS))
    return exported_class(config.model_type.removeprefix("ovparts_"))(config, graphs, tensors)


def _check_manifest(manifest: Any, export_format: str) -> None:
    """Refuses an export of another format, of which one would run code, and files outside of its folder."""
    try:
        stored, files = manifest["export_format"], [entry["file"] for entry in manifest["components"].values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{MANIFEST} is not that of an export. Export the model again.") from error
    if stored != export_format:
        raise CheckpointError(
            f"config.json says {export_format!r}, {MANIFEST} {brief(stored)}. Export the model again."
        )
    for file in files:
        if not isinstance(file, str) or Path(file).name != file or "\\" in file:
            raise CheckpointError(f"{MANIFEST} names {brief(file)}; it may only name files in the same folder.")


@cache
def exported_class(family: str) -> type[PartSegmentationModel]:
    """The class of exports of a family's models: the family's own, which `ExportedMixin` relieves of its layers."""
    kind = model_class(family)
    return type(f"Exported{kind.__name__}", (ExportedMixin, kind), {"__doc__": f"A `{kind.__name__}` as exported."})


class ExportedMixin(PartSegmentationModel):
    """What is different in a model whose graphs are run by ONNX Runtime or OpenVINO.

    It takes a vocabulary, and scores it, as the model that it was exported from; it cannot be trained.
    """

    def __init__(self, config: PartSegmentationConfig, graphs: ExportedModel, tensors: dict[str, torch.Tensor]) -> None:
        PreTrainedModel.__init__(self, config)
        self.graphs = graphs
        self.register_buffer("class_features", tensors.get("class_features"))

    @property
    def device(self) -> torch.device:
        """Where the graphs run, or for OpenVINO where their inputs and outputs lie."""
        return self.graphs.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the inputs and outputs of the graphs."""
        return self.graphs.dtype

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> PartSegmentationModel:
        """Moves the graphs to another device, if they can run there."""
        if dtype not in (None, self.dtype):
            raise ConfigurationError(f"The precision of an export is fixed: {self.dtype}. Leave dtype out.")
        if device is not None and torch.device(device) != self.device:
            try:
                self.graphs.to(device, **runner_options(self.config.export_format))
            except ValueError as error:
                raise ConfigurationError(
                    f"This export cannot run on {device}: {error} Use the device 'cpu'."
                ) from error
        return super().to(self.device)

    def set_trainable(self, name: str) -> None:
        """Refuses to train anything."""
        if name != "none":
            raise ConfigurationError("An export cannot be trained; train the model that it was made from.")

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Refuses to write what is no model of torch."""
        raise ConfigurationError("An export cannot be saved again; copy its folder.")

    @torch.no_grad()
    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `OpenVocabularyModel.encode_classes`."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return self._run(TEXT, input_ids=input_ids, attention_mask=mask)["class_features"].clone()

    @torch.no_grad()
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_features: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        class_mask: torch.Tensor | None = None,
        include_none: bool | None = None,
        **images: torch.Tensor,
    ) -> PartSegmentationOutput:
        """See `PartSegmentationModel.forward`; there is no loss. With `class_mask`, images are run one by one."""
        class_features = self._classes(class_features, input_ids, attention_mask)
        include_none = self.scores_none if include_none is None else include_none
        if include_none and not self.scores_none:
            raise ConfigurationError("This model has no score for 'none' at a pixel; set include_none=False.")
        images["pixel_values"] = pixel_values
        self._check_images(images)
        if class_mask is None and self.exports_batches:
            scores = [self._run(IMAGE, class_features=class_features, **images)]
        else:
            masks = [None] * len(pixel_values) if class_mask is None else class_mask
            rows = [{name: tensor[i : i + 1] for name, tensor in images.items()} for i in range(len(pixel_values))]
            scores = [self._score(row, class_features, mask) for row, mask in zip(rows, masks)]
        outputs = {name: torch.cat([each[name] for each in scores]) for name in scores[0]}
        none_logits = outputs["none_logits"] if include_none else None
        return PartSegmentationOutput(logits=outputs["logits"], none_logits=none_logits, class_features=class_features)

    def _classes(
        self, class_features: torch.Tensor | None, input_ids: torch.Tensor | None, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if class_features is None and self.config.has_closed_vocabulary:
            return torch.arange(self.config.num_labels)
        return class_features if class_features is not None else self.resolve_class_features(None, input_ids, mask)

    def _score(
        self, image: dict[str, torch.Tensor], class_features: torch.Tensor, mask: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """One image; classes that do not matter are left out where that does not change the others."""
        if mask is None:
            return self._run(IMAGE, class_features=class_features, **image)
        chosen = torch.arange(len(mask)) if self.classes_interact or not mask.any() else mask.nonzero()[:, 0]
        scores = self._run(IMAGE, class_features=class_features[chosen], **image)
        logits = scores["logits"]
        full = logits.new_full((1, len(mask), *logits.shape[2:]), -math.inf)
        full[:, chosen] = logits
        return {**scores, "logits": full.masked_fill(~mask[None, :, None, None], -math.inf)}

    def _check_images(self, images: dict[str, torch.Tensor]) -> None:
        traced = self.graphs.components[IMAGE].metadata.kwargs
        for name, tensor in images.items():
            expected = traced[name]["shape"] if name in traced else []
            sizes_fit = self.exports_any_size or list(tensor.shape[2:]) == expected[2:]
            if tensor.dim() != len(expected) or not sizes_fit:
                raise ConfigurationError(
                    f"{name} has shape {list(tensor.shape)}; this export takes [images, *{expected[1:]}]. Prepare "
                    "images one by one with its processor, without sliding windows."
                )

    def _run(self, graph: str, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.graphs.runners[graph](**inputs)
