"""The benchmark's tasks and settings, as data (OV-PARTS, NeurIPS 2023, section 3); `data` makes records of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ..errors import ConfigurationError
from ..utils.suggest import did_you_mean
from .part_taxonomy import PartTaxonomy


class Setting(StrEnum):
    """What is given about the objects of a test image."""

    ORACLE_OBJ = "oracle_obj"
    """Mask and class of every object; only its parts have to be found."""
    PRED_OBJ = "pred_obj"
    """Masks and classes that an object segmenter finds."""
    PRED_ALL = "pred_all"
    """Nothing: objects and parts are found together."""


@dataclass(frozen=True)
class Task:
    """A task of the benchmark, by its name on the command line."""

    name: str
    train_config: Literal["default", "few_shot_16"]  # of the dataset repository
    train_vocabulary: Literal["seen", "all"]  # whose parts training labels cover
    held_out_config: Literal["few_shot_16"] | None  # whose training images never count as test images
    headline: Literal["hIoU", "mIoU"]  # the metric that the paper compares
    reports_split: bool = True  # whether seen and unseen parts are reported separately, even where both were trained

    def train_taxonomy(self, taxonomy: PartTaxonomy) -> PartTaxonomy:
        """The label space of training on a dataset with this taxonomy."""
        return taxonomy.seen() if self.train_vocabulary == "seen" else taxonomy

    def seen_ids(self, taxonomy: PartTaxonomy) -> tuple[int, ...]:
        """Ids of the parts that count as seen when this task is scored: after few-shot training, all of them."""
        return taxonomy.seen_part_ids if self.reports_split else tuple(range(len(taxonomy.part_classes)))


TASKS = {
    task.name: task
    for task in (
        Task("zero_shot", "default", "seen", None, "hIoU"),
        Task("few_shot", "few_shot_16", "all", "few_shot_16", "mIoU", reports_split=False),
        # The closed-vocabulary upper bound of the paper's tables: all parts are trained, the split is only reported.
        Task("supervised", "default", "all", None, "mIoU"),
        # Trains as zero_shot on the source dataset and is tested on another dataset with that dataset's vocabulary.
        Task("cross_dataset", "default", "seen", None, "mIoU"),
    )
}


def get_task(name: str | Task) -> Task:
    """Looks a task up by name."""
    if isinstance(name, Task):
        return name
    if not isinstance(name, str) or name not in TASKS:
        raise ConfigurationError(f"Unknown task {name!r}; choose one of {list(TASKS)}.{did_you_mean(name, TASKS)}")
    return TASKS[name]


def get_setting(name: str | Setting) -> Setting:
    """Looks a setting up by name."""
    try:
        return Setting(name)
    except ValueError:
        raise ConfigurationError(f"Unknown setting {name!r}; choose one of {[s.value for s in Setting]}.") from None
