"""The class names of training, as tokens, and which of them a step scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from accelerate import Accelerator

Batch = dict[str, torch.Tensor]


class Vocabulary:
    """All training classes, or a new choice of them in every step.

    Args:
        tokens: `input_ids` and `attention_mask`, each (classes, length) int64, on the training device.
        ignore_index: Label of pixels that show none of the classes; not below the number of classes.
        classes_per_step: Size of the choice; None for all. If more classes are labelled, all of those are taken.
        seed: Seed of the choice.
    """

    def __init__(
        self, tokens: Mapping[str, torch.Tensor], ignore_index: int, classes_per_step: int | None, seed: int
    ) -> None:
        self.tokens = dict(tokens)
        self.ignore_index = ignore_index
        self.classes_per_step = classes_per_step
        self.seed = seed

    def __len__(self) -> int:
        return len(self.tokens["input_ids"])

    def for_step(self, step: int, pieces: Sequence[Batch], accelerator: Accelerator) -> tuple[Batch, list[Batch]]:
        """Chooses the classes of a step: those labelled anywhere in the global batch, and random others.

        Every process makes the same choice.

        Args:
            step: Number of the step.
            pieces: This process's batches of the step, with `labels`.
            accelerator: Tells what the other processes' labels hold.

        Returns:
            The tokens of the chosen classes, and the pieces with labels that count in the choice.
        """
        if self.classes_per_step is None or self.classes_per_step >= len(self):
            return self.tokens, list(pieces)
        present = torch.zeros(self.ignore_index + 1, dtype=torch.int32, device=accelerator.device)
        for piece in pieces:
            present[piece["labels"].unique()] = 1
        present = accelerator.reduce(present, "sum").cpu().numpy()[: len(self)] > 0
        chosen = torch.from_numpy(self._choose(step, present)).to(accelerator.device)

        new_label = torch.full((self.ignore_index + 1,), self.ignore_index, device=accelerator.device)
        new_label[chosen] = torch.arange(len(chosen), device=accelerator.device)
        tokens = {name: values[chosen] for name, values in self.tokens.items()}
        return tokens, [{**piece, "labels": new_label[piece["labels"]]} for piece in pieces]

    def _choose(self, step: int, present: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng((self.seed, step))
        others = generator.permutation(np.flatnonzero(~present))
        wanted = max(0, self.classes_per_step - int(present.sum()))
        return np.sort(np.concatenate([np.flatnonzero(present), others[:wanted]]))
