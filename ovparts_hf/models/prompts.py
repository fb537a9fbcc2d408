"""Prompts with learned vectors: CoOp, CPTCoOp and CPTCoCoOp.

A prompt is a row of token ids in which the negative id -1 - k stands for the k-th learned vector. The same row goes
with every such model, and hand-written prompts are rows without negative ids.

* CoOp (Zhou et al., IJCV 2022) puts learned vectors before and after a name: `prefix`, name, `suffix`.
* CPTCoOp (OV-PARTS, NeurIPS 2023, section 4.1) splits "dog's ear" and learns what stands between the object and the
  part: `prefix`, object, `connect`, part, `suffix`.
* CPTCoCoOp moves all learned vectors by what a small network makes of the image (CoCoOp, Zhou et al., CVPR 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from transformers import initialization as init
from transformers.masking_utils import create_causal_mask

from ..errors import ConfigurationError, OVPartsError
from ..taxonomy import split_part_class

REDUCTION = 16
_INITIAL_DEVIATION = 0.02


def tokenize_prompts(
    tokenizer: Any, classes: Sequence[str], prefix: int = 4, connect: int = 4, suffix: int = 0
) -> dict[str, torch.Tensor]:
    """Lays prompts with learned vectors out: start, prefix, object, connect, part, suffix, ".", end.

    Args:
        tokenizer: Of the text encoder.
        classes: Part classes ("dog's ear"). Without `connect`, any words; a "'s" is dropped.
        prefix: Number of learned vectors before the name.
        connect: Number of learned vectors between the object's name and the part's.
        suffix: Number of learned vectors after the name.

    Returns:
        `input_ids` (classes, length) int64, with -1 - k for the k-th learned vector, and `attention_mask` (classes,
        length) int64, 1 up to the end token. Rows are padded to the longest.

    Raises:
        TaxonomyError: A class is not of the form "dog's ear", and `connect` asks for two names.
        OVPartsError: There is no class, or one is too long for the text encoder.
    """
    if isinstance(classes, str) or not classes:
        raise OVPartsError(f"classes must be a list of at least one name, but is {classes!r}.")
    first, second, third = _learned(0, prefix), _learned(prefix, connect), _learned(prefix + connect, suffix)
    end = [*_words(tokenizer, "."), tokenizer.eos_token_id]
    rows = []
    for name in classes:
        object_name, part_name = split_part_class(name) if connect else (name.replace("'s", ""), "")
        nouns = [*_words(tokenizer, object_name), *second, *_words(tokenizer, part_name)]
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
    """Makes one tensor of rows of ids, filled up with 0, and its `attention_mask`."""
    sequences = [torch.tensor(row) for row in rows]
    masks = [torch.ones(len(row), dtype=torch.long) for row in rows]
    pad = nn.utils.rnn.pad_sequence
    return {"input_ids": pad(sequences, batch_first=True), "attention_mask": pad(masks, batch_first=True)}


class MetaNet(nn.Module):
    """CoCoOp's network from an image's feature to a shift of the learned vectors.

    Its last layer starts at zero, so that tuning sets out from prompts that all images share.

    Args:
        feature_dim: Width of the image's feature.
        width: Width of token embeddings.
    """

    def __init__(self, feature_dim: int, width: int) -> None:
        super().__init__()
        hidden = max(1, feature_dim // REDUCTION)
        self.down = nn.Linear(feature_dim, hidden)
        self.up = nn.Linear(hidden, width)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(feature).relu())


class LearnedPrompts(nn.Module, PyTorchModelHubMixin):
    """The learned vectors of prompts, and the weight with which part and object features are fused.

    `save_pretrained` and `from_pretrained` write and read them on their own.

    Args:
        width: Width of the text encoder's token embeddings.
        prefix: Number of vectors before the name.
        connect: Number of vectors between the object's name and the part's; 0 for CoOp.
        suffix: Number of vectors after the name.
        feature_dim: Width of the image's features that move the vectors (CoCoOp), or None for no such thing.
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

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the vectors with deviation 0.02; the fusion takes the object alone, and the meta-net moves nothing."""
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
        """Embeds prompts, before positions are added.

        Args:
            token_embedding: Of the text encoder.
            input_ids: (prompts, length) int64 from `tokenize_prompts`.
            features: (prompts, feature dim), for each prompt that of its image or object; None, or no meta-net,
                leaves the vectors as they are.

        Returns:
            (prompts, length, width).
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
        every = (self.prefix_prompt, self.connect_prompt, self.suffix_prompt)
        return tuple(0 if vectors is None else len(vectors) for vectors in every)

    def fuse(self, part_features: torch.Tensor, object_features: torch.Tensor) -> torch.Tensor:
        """Mixes features of parts and of their objects, both (..., dim); the result is not normalised."""
        return self.fuse_weight * part_features + (1 - self.fuse_weight) * object_features

    def _vectors(self) -> list[nn.Parameter]:
        every = (self.prefix_prompt, self.connect_prompt, self.suffix_prompt)
        return [vectors for vectors in every if vectors is not None]


def prompt_features(
    clip: nn.Module,
    prompts: LearnedPrompts,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    features: torch.Tensor | None = None,
) -> torch.Tensor:
    """Encodes prompts with learned vectors, not normalised.

    Args:
        clip: A transformers `CLIPModel`.
        prompts: The vectors.
        input_ids: (prompts, length) int64 from `tokenize_prompts`.
        attention_mask: (prompts, length) int64, from the same.
        features: (prompts, feature dim) as in `LearnedPrompts.forward`, or None.

    Returns:
        (prompts, projection dim).
    """
    embeddings = prompts(clip.text_model.embeddings.token_embedding, input_ids, features)
    return embedded_text_features(clip, embeddings, attention_mask.sum(dim=-1) - 1)


def load_tuned_prompts(prompts: LearnedPrompts | None, name_or_path: str | Path) -> None:
    """Gives a model prompts that were tuned beforehand.

    Args:
        prompts: The model's.
        name_or_path: A folder or Hub repository that `LearnedPrompts.save_pretrained` or prompt tuning wrote.

    Raises:
        ConfigurationError: There are no such prompts, the model has none, or theirs and its sizes differ.
    """
    if prompts is None:
        raise ConfigurationError("The model has no learned prompts: set prompt_lengths of its configuration.")
    try:
        tuned = LearnedPrompts.from_pretrained(name_or_path).state_dict()
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{str(name_or_path)!r} holds no tuned prompts: {error}") from error
    sizes, wanted = ({key: list(value.shape) for key, value in each.items()} for each in (tuned, prompts.state_dict()))
    if sizes != wanted:
        raise ConfigurationError(
            f"The prompts in {str(name_or_path)!r} have the sizes {sizes}, the model's {wanted}. Tune them for this "
            "CLIP with the same prefix, connect, suffix and image_conditioned."
        )
    prompts.load_state_dict(tuned)


def embedded_text_features(clip: nn.Module, embeddings: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """What CLIP's text tower makes of token embeddings, which it does not take itself.

    Args:
        clip: A transformers `CLIPModel`.
        embeddings: (prompts, length, width), before positions are added. Padding does not matter: attention is causal.
        ends: (prompts,) int64, where the end token is.

    Returns:
        (prompts, projection dim), not normalised.
    """
    text = clip.text_model
    states = text.embeddings(inputs_embeds=embeddings)
    mask = create_causal_mask(config=text.config, inputs_embeds=states, attention_mask=None, past_key_values=None)
    states = text.encoder(inputs_embeds=states, attention_mask=mask, is_causal=True).last_hidden_state
    last = torch.take_along_dim(states, ends[:, None, None], dim=1).squeeze(1)
    return clip.text_projection(text.final_layer_norm(last))


def _learned(start: int, count: int) -> list[int]:
    return [-1 - k for k in range(start, start + count)]


def _words(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids
