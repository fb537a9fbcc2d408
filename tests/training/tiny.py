"""A model, a processor and a dataset that are as small as training can do with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BatchFeature

from ovparts_hf.data.part_dataset import PartSample
from ovparts_hf.data.records import Record
from ovparts_hf.models.loading import load_model
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.taxonomy.tasks import Task
from ovparts_hf.training import TrainArguments
from ovparts_hf.training.setup import TrainingSetup

SIDE = 8
TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["cat", "dog", "bus"],
        "part_classes": ["dog's head", "dog's tail", "bus's wheel", "bus's door", "cat's head", "cat's tail"],
        "seen_objects": ["cat", "bus"],
    }
)


class TinyModel(nn.Module):
    """Compares pixels with class names; with dropout, so that random numbers matter."""

    requires_object_masks = trains_on_objects = False
    object_crop_margin = None
    vocabulary = None

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("cpu")
        self.config = SimpleNamespace()
        self.words = nn.Embedding(32, 6)
        self.pixels = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.LayerNorm(6)
        self.dropout = nn.Dropout(0.3)
        self.none = nn.Parameter(torch.zeros(1, 6))
        self.frozen = nn.Linear(2, 2)
        self.frozen.requires_grad_(False)

    def text_encoder_is_trainable(self, processor: TinyProcessor, class_names: Sequence[str]) -> bool:
        return self.words.weight.requires_grad

    def encode_vocabulary(self, processor: TinyProcessor, class_names: Sequence[str]) -> dict[str, torch.Tensor]:
        return dict(processor(classes=class_names))

    tokenize_vocabulary = encode_vocabulary

    def store_vocabulary(self, processor: TinyProcessor, class_names: Sequence[str], progress: bool = True) -> None:
        pass

    def forget_vocabulary(self) -> None:
        pass

    def encode_classes(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        mask = attention_mask[..., None]
        return (self.words(input_ids) * mask).sum(1) / mask.sum(1)

    def forward(
        self,
        pixel_values: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        class_mask: torch.Tensor | None = None,
    ) -> SimpleNamespace:
        classes = self.encode_classes(input_ids, attention_mask)
        pixels = self.dropout(self.norm(self.pixels(pixel_values).movedim(1, -1)))
        scores = pixels @ torch.cat([classes, self.none]).T
        if class_mask is not None:
            left_out = F.pad(~class_mask, (0, 1))[:, None, None]
            scores = scores.masked_fill(left_out, -100.0)
        target = F.one_hot(labels.clamp(max=len(classes)), len(classes) + 1).to(scores)
        return SimpleNamespace(loss=F.binary_cross_entropy_with_logits(scores, target))

    def save_pretrained(self, folder: Path, state_dict: dict[str, torch.Tensor]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in state_dict.items()}, folder / "model.safetensors")


class TinyProcessor:
    """Resizes images; a token for each class."""

    image_processor = SimpleNamespace(size={"height": SIDE, "width": SIDE})
    templates = None

    def __call__(
        self, images: list[Image.Image] | None = None, classes: list[str] | None = None, augmented: bool = False
    ) -> BatchFeature:
        if images is not None:
            arrays = [np.asarray(image.resize((SIDE, SIDE)), dtype=np.float32) / 255 for image in images]
            return BatchFeature({"pixel_values": torch.from_numpy(np.stack(arrays)).movedim(-1, 1)})
        ids = torch.tensor([[TAXONOMY.part_classes.index(name) + 1, 0] for name in classes])
        return BatchFeature({"input_ids": ids, "attention_mask": (ids > 0).long()})

    def save_pretrained(self, folder: Path) -> None:
        (folder / "processor_config.json").write_text("{}")


class TinyDataset:
    """Images of two stripes, in which colours go with parts."""

    taxonomy = TAXONOMY

    def __init__(self, size: int = 10) -> None:
        self.size = size

    def training_records(self, task: Task, level: str | None = None) -> list[Record]:
        return [Record("train", row) for row in range(self.size)]

    def read(self, record: Record) -> PartSample:
        generator = np.random.default_rng(record.row)
        part_map = np.full((12, 16), TAXONOMY.ignore_index, dtype=np.int64)
        part_map[:, :6], part_map[:, 6:10] = generator.permutation(6)[:2]
        pixels = generator.integers(0, 60, (12, 16, 3)) + 30 * np.minimum(part_map, 6)[..., None]
        image = Image.fromarray(pixels.astype(np.uint8))
        return PartSample(image, part_map, np.minimum(part_map // 2, TAXONOMY.ignore_index), str(record.row))


@dataclass
class Evaluator:
    """Stands in for `evaluate_model`: plays back scores.

    Attributes:
        scores: The headline metric of each call.
        calls: Arguments of the calls so far.
    """

    scores: tuple[float, ...] = (30.0, 20.0, 40.0, 10.0)

    def __post_init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, model: nn.Module, processor: Any, dataset: Any, task: Task, **options: Any) -> SimpleNamespace:
        assert not model.training
        torch.rand(3)  # an evaluation may use random numbers
        self.calls.append({"task": task, **options})
        score = self.scores[(len(self.calls) - 1) % len(self.scores)]
        return SimpleNamespace(metrics={"hIoU": score, "mIoU": score / 2, "IoU": {}})


def tiny_setup() -> TrainingSetup:
    """The same small things every time."""
    torch.manual_seed(5)
    return TrainingSetup(TinyModel(), TinyProcessor(), TinyDataset(), TinyDataset())


def arguments(output: Path, **changes: Any) -> TrainArguments:
    """Arguments of a run of a few steps."""
    settings: dict[str, Any] = {
        "data": "tiny",
        "output": output,
        "model": "tiny",
        "steps": 7,
        "batch_size": 4,
        "learning_rate": 0.05,
        "max_grad_norm": 1.0,
        "short_edges": [10, 14],
        "max_size": 40,
        "workers": 0,
        "eval_every": 0,
        "log_every": 2,
        "save_every": 0,
    }
    return TrainArguments(**{**settings, **changes})


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The weights that a run saved."""
    return load_file(folder / name / "model.safetensors")


def assert_same_weights(first: Path, second: Path, tolerance: float = 0, name: str = "last") -> None:
    """Checks that two runs saved the same weights."""
    ours, theirs = weights(first, name), weights(second, name)
    assert ours.keys() == theirs.keys() and ours
    for key, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[key], rtol=0, atol=tolerance, msg=key)


def log_lines(folder: Path, timed: bool = False) -> list[dict[str, Any]]:
    """The log of a run; what is never the same twice, time and memory, only if `timed`."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    left_out = () if timed else ("seconds", "images_per_second", "memory_gb")
    return [{key: value for key, value in line.items() if key not in left_out} for line in lines]


def assert_same_real_runs(first: Path, second: Path) -> None:
    """Checks that two runs of a real model saved the same weights with the same vocabulary, and logged the same."""
    for name in ("best", "last"):
        assert_same_weights(first, second, tolerance=1e-5, name=name)
        assert load_model(first / name)[0].vocabulary == load_model(second / name)[0].vocabulary
    for ours, theirs in zip(log_lines(first), log_lines(second), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, nan_ok=True)  # single pixels may turn over


def newest_checkpoint(folder: Path) -> Path:
    """The newest checkpoint of a run."""
    return max((folder / "checkpoints").iterdir())


def as_earlier_version(checkpoint: Path) -> None:
    """Rewrites a checkpoint as versions wrote it that kept progress and schedule as pickles."""
    progress = json.loads((checkpoint / "progress.json").read_text())
    state = {**progress["state"], "best": float(progress["state"]["best"] or "nan")}
    torch.save(state, checkpoint / "custom_checkpoint_0.pkl")
    torch.save(progress["schedule"], checkpoint / "custom_checkpoint_1.pkl")
    (checkpoint / "progress.json").unlink()
    (checkpoint / "manifest.json").unlink()
