"""What is different in a model whose graphs are run by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from ...errors import ConfigurationError
from ..configuration_utils import PartSegmentationConfig
from ..modeling_utils import PartSegmentationModel
from .formats import call_in_thread, runner_options
from .graphs import TEXT, Example, Tensors

if TYPE_CHECKING:
    from transformers.exporters import ExportedModel


class ExportedMixin(PartSegmentationModel):
    """Relieves the class of a family, which follows it, of its layers.

    An export takes a vocabulary, and scores it, as the model that it was exported from; it cannot be trained. A
    subclass has `examples`, and runs these graphs.
    """

    def __init__(self, config: PartSegmentationConfig, graphs: ExportedModel, tensors: Tensors) -> None:
        PreTrainedModel.__init__(self, config)
        self.graphs = graphs
        self.register_buffer("class_features", tensors.get("class_features"))

    @staticmethod
    def examples(model: PartSegmentationModel, processor: Any) -> dict[str, Example]:
        """The graphs of a model by name."""
        raise NotImplementedError

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
                call_in_thread(self.graphs.to, device, **runner_options(self.config.export_format))
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
        return self.run(TEXT, input_ids=input_ids, attention_mask=mask)["class_features"]

    def run(self, graph: str, **inputs: torch.Tensor) -> Tensors:
        """The outputs of one of `graphs`."""
        return self.graphs.runners[graph](**inputs)


def runner_of(kind: type[PartSegmentationModel]) -> type[ExportedMixin]:
    """What divides the computations of a class's models into graphs, `examples`, and runs them."""
    module, name = kind.export_runner
    return getattr(import_module(f"..{module}", __package__), name)
