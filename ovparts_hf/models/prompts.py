"""Prompts with learned vectors: CoOp (Zhou et al., IJCV 2022), CPTCoOp (OV-PARTS, NeurIPS 2023, section 4.1) and
CPTCoCoOp, which adds the network of CoCoOp (Zhou et al., CVPR 2022); docs/prompts.md says how they differ.

A prompt is a row of token ids, in which the negative id -1 - k stands for the k-th learned vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from torch import nn
from transformers import initialization as init
from transformers.masking_utils import create_causal_mask

from ..errors import CheckpointError, ConfigurationError, OVPartsError
from ..taxonomy import split_part_class
from ..utils.files import first_line
from .pretrained import check_finite

REDUCTION = 16
_INITIAL_DEVIATION = 0.02


def tokenize_prompts(
    tokenizer: Any, classes: Sequence[str], prefix: int = 4, connect: int = 4, suffix: int = 0
) -> dict[str, torch.Tensor]:
    """Tokenizes prompts with learned vectors: start, prefix, object, connect, part, suffix, ".", end.

    The classes are "dog's ear"; without `connect` any text, of which a "'s" is dropped. Returns `input_ids` and
    `attention_mask` (classes, length) int64, padded to the longest, with 1 up to the end token.
    """
    if isinstance(classes, str) or not classes:
        raise OVPartsError(f"classes must be a list of at least one name, but is {classes!r}.")
    first, second, third = _learned(0, prefix), _learned(prefix, connect), _learned(prefix + connect, suffix)
    if None in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        raise OVPartsError("The tokenizer has no token for the start or the end of a text. Save or download it again.")
    end = [*_token_ids(tokenizer, "."), tokenizer.eos_token_id]
    rows = []
    for name in classes:
        object_name, part_name = split_part_class(name) if connect else (name.replace("'s", ""), "")
        nouns = [*_token_ids(tokenizer, object_name), *second, *_token_ids(tokenizer, part_name)]
        rows.append([tokenizer.bos_token_id, *first, *nouns, *third, *end])
    longest = max(rows, key=len)
    limit = tokenizer.model_max_length
    if len(longest) > limit:
        raise OVPartsError(
            f"The prompt of {classes[rows.index(longest)][:80]!r} has {len(longest)} tokens and learned vectors; the "
            f"text encoder takes at most {limit}. Shorten the name or the prompt."
        )
    return pad_rows(rows)


def pad_rows(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Rows of token ids as one tensor, padded with 0, and its `attention_mask`."""
    sequences = [torch.tensor(row) for row in rows]
    masks = [torch.ones(len(row), dtype=torch.long) for row in rows]
    pad = nn.utils.rnn.pad_sequence
    return {"input_ids": pad(sequences, batch_first=True), "attention_mask": pad(masks, batch_first=True)}


class MetaNet(nn.Module):
    """CoCoOp's network from features (..., feature_dim) to shifts (..., width) of the vectors, at first zero."""

    def __init__(self, feature_dim: int, width: int) -> None:
        super().__init__()
        hidden = max(1, feature_dim // REDUCTION)
        self.down = nn.Linear(feature_dim, hidden)
        self.up = nn.Linear(hidden, width)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(feature).relu())


class LearnedPrompts(nn.Module, PyTorchModelHubMixin):
    """The learned vectors of prompts, and the weight with which part and object features are fused.

    `save_pretrained` and `from_pretrained` write and read them without the model that they belong to.

    Args:
        width: Width of the text encoder's token embeddings.
        prefix: Number of vectors before the name.
        connect: Number of vectors between the object's name and the part's; 0 for CoOp.
        suffix: Number of vectors after the name.
        feature_dim: Width of the image features that shift the vectors (CoCoOp); None for vectors that are not shifted.
    """

    def __init__(
        self, width: int, prefix: int = 4, connect: int = 4, suffix: int = 0, feature_dim: int | None = None
    ) -> None:
        super().__init__()
        if min(prefix, connect, suffix) < 0 or not prefix + connect + suffix:
            raise OVPartsError(
                f"A prompt of {prefix} prefix, {connect} connect and {suffix} suffix vectors is not possible; the "
                "numbers must be 0 or more, and at least one of them 1."
            )
        for name, length in (("prefix_prompt", prefix), ("connect_prompt", connect), ("suffix_prompt", suffix)):
            self.register_parameter(name, nn.Parameter(torch.empty(length, width)) if length else None)
        self.fuse_weight = nn.Parameter(torch.empty(()))
        self.meta_net = None if feature_dim is None else MetaNet(feature_dim, width)
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> LearnedPrompts:
        """See `PyTorchModelHubMixin`; every vector must be there, and be finite."""
        try:
            prompts = super().from_pretrained(pretrained_model_name_or_path, **{"strict": True, **kwargs})
        except (RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"{str(pretrained_model_name_or_path)!r} holds no tuned prompts: {first_line(error)}"
            ) from error
        check_finite(prompts.state_dict(), pretrained_model_name_or_path)
        return prompts

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the vectors with deviation 0.02; fusion gives the object's feature, and the meta-net shifts by 0."""
        for vectors in self._vectors():
            init.normal_(vectors, std=_INITIAL_DEVIATION)
        init.zeros_(self.fuse_weight)
        if self.meta_net is not None:
            init.kaiming_uniform_(self.meta_net.down.weight, a=math.sqrt(5))
            for values in (self.meta_net.down.bias, self.meta_net.up.weight, self.meta_net.up.bias):
                init.zeros_(values)

    def forward(
        self, token_embedding: nn.Embedding, input_ids: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embeds `input_ids` (prompts, length) as (prompts, length, width), before positions are added.

        With a meta-net, `features` (prompts, feature dim) of images or objects shift the vectors.
        """
        # index_select, not indexing: its gradient is summed in a fixed order, so that training can be repeated exactly.
        places = (-1 - input_ids).clamp(min=0)
        learned = torch.cat(self._vectors()).index_select(0, places.flatten()).unflatten(0, places.shape)
        if self.meta_net is not None and features is not None:
            learned = learned + self.meta_net(features)[:, None]
        return torch.where((input_ids < 0)[..., None], learned, token_embedding(input_ids.clamp(min=0)))

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Numbers of vectors: prefix, connect, suffix."""
        prompts = (self.prefix_prompt, self.connect_prompt, self.suffix_prompt)
        return tuple(0 if vectors is None else len(vectors) for vectors in prompts)

    def fuse(self, part_features: torch.Tensor, object_features: torch.Tensor) -> torch.Tensor:
        """Mixes features of parts and of their objects, both (..., dim); the result is not normalised."""
        return self.fuse_weight * part_features + (1 - self.fuse_weight) * object_features

    def _vectors(self) -> list[nn.Parameter]:
        prompts = (self.prefix_prompt, self.connect_prompt, self.suffix_prompt)
        return [vectors for vectors in prompts if vectors is not None]


def prompt_features(
    clip: nn.Module,
    prompts: LearnedPrompts,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    features: torch.Tensor | None = None,
) -> torch.Tensor:
    """Encodes prompts of `tokenize_prompts` by a `CLIPModel`: (prompts, projection dim), not normalised."""
    embeddings = prompts(clip.text_model.embeddings.token_embedding, input_ids, features)
    return embedded_text_features(clip, embeddings, attention_mask.sum(dim=-1) - 1)


def load_tuned_prompts(prompts: LearnedPrompts | None, name_or_path: str | Path) -> None:
    """Replaces the prompts of a model by tuned ones from a folder or Hub repository.

    Raises:
        ConfigurationError: There are no such prompts, the model has none, or the sizes differ.
    """
    if prompts is None:
        raise ConfigurationError("The model has no learned prompts: set prompt_lengths of its configuration.")
    try:
        tuned = LearnedPrompts.from_pretrained(name_or_path).state_dict()
    except CheckpointError:
        raise
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{str(name_or_path)!r} holds no tuned prompts: {error}") from error
    sizes, expected = ({key: list(value.shape) for key, value in s.items()} for s in (tuned, prompts.state_dict()))
    if sizes != expected:
        raise ConfigurationError(
            f"The prompts in {str(name_or_path)!r} have the sizes {sizes}, the model's {expected}. Tune them for this "
            "CLIP with the same prefix, connect, suffix and image_conditioned."
        )
    prompts.load_state_dict(tuned)


def embedded_text_features(clip: nn.Module, embeddings: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Encodes token embeddings (prompts, length, width) that end at `ends` (prompts,): (prompts, projection dim)."""
    text = clip.text_model
    states = text.embeddings(inputs_embeds=embeddings)
    mask = create_causal_mask(text.config, states, None, None)  # neither padding nor a cache
    states = text.encoder(inputs_embeds=states, attention_mask=mask, is_causal=True).last_hidden_state
    last = states.gather(1, ends[:, None, None].expand(-1, 1, states.shape[-1])).squeeze(1)
    return clip.text_projection(text.final_layer_norm(last))


def _learned(start: int, count: int) -> list[int]:
    return [-1 - k for k in range(start, start + count)]


def _token_ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids
