"""What transformers' tests of models want to know about a family: a small model, and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .suite import load

Inputs = dict[str, Any]


class ModelTester:
    """A family's configuration and inputs, with the names that `ModelTesterMixin` reads.

    Attributes:
        num_hidden_layers: Layers whose attentions `forward` returns.
        expected_num_hidden_layers: States that it returns, with those before the first layer.
    """

    batch_size = 2
    num_classes = 3
    is_training = True

    def __init__(self, make_config: Callable[[], PreTrainedConfig], image_size: int) -> None:
        self.make_config, self.image_size = make_config, image_size

    def get_config(self) -> PreTrainedConfig:
        return self.make_config()

    def pixel_values(self, batch_size: int | None = None) -> torch.Tensor:
        return torch.randn(batch_size or self.batch_size, 3, self.image_size, self.image_size)

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, Inputs]:
        return self.get_config(), {"pixel_values": self.pixel_values()}


class OpenVocabularyTester(ModelTester):
    """Adds class features, of the shape that the family's `encode_classes` gives."""

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, Inputs]:
        config, inputs = super().prepare_config_and_inputs_for_common()
        return config, inputs | {"class_features": self.class_features(config)}

    def class_features(self, config: PreTrainedConfig) -> torch.Tensor:
        return torch.randn(self.num_classes, config.projection_dim)


def model_tests(tester: ModelTester, model_class: type[PreTrainedModel]) -> type:
    """transformers' tests of one model class, to inherit from beside `unittest.TestCase`."""

    class Tests(load("test_modeling_common").ModelTesterMixin):
        all_model_classes = (model_class,)
        model_tester = tester
        test_can_init_all_missing_weights_before_2023 = True

        def _prepare_for_class(self, inputs: Inputs, model_class: type, return_labels: bool = False) -> Inputs:
            inputs = super()._prepare_for_class(inputs, model_class)
            if return_labels:
                size = inputs["pixel_values"].shape[-2:]
                inputs["labels"] = torch.zeros(self.model_tester.batch_size, *size, dtype=torch.long)
            return inputs

    return Tests
