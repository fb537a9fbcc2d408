"""What transformers' tests of models want to know about a family: a small model, and its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .suite import load

Inputs = dict[str, Any]
NAMES = ["dog's ear", "dog's leg", "bus's wheel"]


class ModelTester:
    """A family's small configuration and its inputs, under the names that transformers' tests read.

    Args:
        config: The configuration.
        image_size: Height and width of the images.
        num_hidden_layers: Layers whose attentions `forward` returns.
        states: The hidden states that it returns.
        seq_length: Tokens of each.
        hidden_size: Their width.
        num_attention_heads: Heads of each layer.
    """

    batch_size = 2
    is_training = True

    def __init__(
        self,
        config: PreTrainedConfig,
        image_size: int,
        num_hidden_layers: int,
        states: int,
        seq_length: int,
        hidden_size: int,
        num_attention_heads: int,
    ) -> None:
        self.config, self.image_size = config, image_size
        self.num_hidden_layers, self.expected_num_hidden_layers = num_hidden_layers, states
        self.seq_length, self.hidden_size, self.num_attention_heads = seq_length, hidden_size, num_attention_heads

    def get_config(self) -> PreTrainedConfig:
        return type(self.config).from_dict(self.config.to_dict())

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, Inputs]:
        images = torch.randn(self.batch_size, 3, self.image_size, self.image_size)
        return self.get_config(), {"pixel_values": images}


class OpenVocabularyTester(ModelTester):
    """Adds the words of a vocabulary, and the masks of objects if the model requires them."""

    prompts_per_class: tuple[int, ...] = ()

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, Inputs]:
        config, inputs = super().prepare_config_and_inputs_for_common()
        text = config.text_config
        templates = (config.num_templates,) if hasattr(config, "num_templates") else self.prompts_per_class
        shape = (len(NAMES), *templates, 5)
        ids = torch.randint(2, min(text.bos_token_id, text.eos_token_id), shape)
        ids[..., 0], ids[..., -1] = text.bos_token_id, text.eos_token_id
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if getattr(config, "object_mask_prompt", False):
            masks = torch.zeros(self.batch_size, self.image_size, self.image_size)
            masks[:, 8:40, 16:48] = 1
            inputs["object_masks"] = masks
        return config, inputs


def model_tests(model_class: type[PreTrainedModel], tester: ModelTester) -> type:
    """transformers' tests of one model class, to inherit from beside `unittest.TestCase`."""

    class Tests(load("test_modeling_common").ModelTesterMixin):
        all_model_classes = (model_class,)
        model_tester = tester
        additional_model_inputs = ("input_ids", "object_masks")
        test_can_init_all_missing_weights_before_2023 = True
        # No loss reaches what CLIP needs only to compare whole images with texts.
        test_all_params_have_gradient = False

        def _prepare_for_class(self, inputs: Mapping, model_class: type, return_labels: bool = False) -> Inputs:
            inputs = super()._prepare_for_class(inputs, model_class)
            if return_labels:
                size = inputs["pixel_values"].shape[-2:]
                inputs["labels"] = torch.zeros(self.model_tester.batch_size, *size, dtype=torch.long)
            return inputs

    return Tests
