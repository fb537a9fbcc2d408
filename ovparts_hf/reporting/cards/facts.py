"""What the card of a model says, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...taxonomy import ADE20K_PART_234, PASCAL_PART_116, PartTaxonomy, split_part_class
from ...toy.world import TOY_WORLD

Origin = Literal["released", "recipe", "stock", "trained", "unknown"]
TAXONOMIES = {taxonomy.name: taxonomy for taxonomy in (PASCAL_PART_116, ADE20K_PART_234, TOY_WORLD)}
TITLES = {"pascal-part-116": "Pascal-Part-116", "ade20k-part-234": "ADE20K-Part-234", "toy-world": "Toy world"}
TERMS = {
    "pascal-part-116": "http://host.robots.ox.ac.uk/pascal/VOC/",
    "ade20k-part-234": "https://groups.csail.mit.edu/vision/datasets/ADE20K/terms/",
}
"""Where the terms of a dataset's images are."""


@dataclass(frozen=True)
class ModelFacts:
    """One model.

    Attributes:
        name: Of its repository, e.g. "clipseg-pascal-part-116-zero-shot".
        title: Heading of the card.
        family: A key of `auto.FAMILIES`.
        origin: Where the weights come from: "released" by the paper's authors, made by a "recipe" of this library,
            "stock" weights that were never fine-tuned for parts, "trained" by the reader, or "unknown".
        model: Its name in the paper's tables, or the family's.
        location: What `from_pretrained` is given: a folder, or a Hub id.
        backbone: As the paper names it; empty if unknown.
        finetuning: As the paper names it; None if nothing is.
        task: Of the training, a key of `TASKS`; None if unknown.
        trained_on: The vocabulary it was trained on, or None.
        evaluations: Folder of the data, and task, of the commands that score it.
        starts_from: Hub ids of the weights it starts from.
        commands: Command lines that make the folder from a checkpoint.
        training: Command lines that train such a model.
        published: The paper's numbers, see `PublishedNumbers`.
        arguments: Training arguments that are not the defaults, if known.
        vocabulary: Class names saved with the model, which answers with them when given no words.
    """

    name: str
    title: str
    family: str
    origin: Origin
    model: str
    location: str
    backbone: str = ""
    finetuning: str | None = None
    task: str | None = None
    trained_on: PartTaxonomy | None = None
    evaluations: tuple[tuple[str, str], ...] = ()
    starts_from: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    published: tuple[PublishedNumbers, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()

    @property
    def is_benchmark(self) -> bool:
        """Whether it is a row of the paper's tables."""
        return self.origin in ("released", "recipe", "stock")

    @property
    def told_masks(self) -> bool:
        """Whether it answers only for an object whose mask is given."""
        return self.model == "ZSseg+"

    @property
    def example(self) -> dict[str, list[str]]:
        """An object, of those that were not labelled in training if there is one, and three of its parts."""
        data = self.trained_on
        if data is None:
            return _first_object(self.vocabulary) or {"dog": ["head", "ear", "tail"]}
        first = (*data.unseen_part_ids, 0)[0]
        parts = data.parts_of(data.object_of(first))[:3]
        return {data.object_classes[data.object_of(first)]: [data.part_name(part) for part in parts]}

    @property
    def research_only(self) -> bool:
        """Whether nothing is known that allows more than research."""
        return self.origin == "stock" or (self.trained_on is not None and self.trained_on.name in TERMS)

    @property
    def is_toy(self) -> bool:
        """Whether everything about it was drawn or trained by this library."""
        known = self.trained_on is not None and self.trained_on.name == TOY_WORLD.name
        return known and str(self.arguments.get("model", "")).startswith("toy")


def _first_object(classes: Sequence[str]) -> dict[str, list[str]]:
    """The object of the first class and up to three of its parts; empty if no class is a part of an object."""
    pairs = [split_part_class(each) for each in classes if "'s " in each]
    return {pairs[0][0]: [part for name, part in pairs if name == pairs[0][0]][:3]} if pairs else {}


@dataclass(frozen=True)
class PublishedNumbers:
    """A line of the paper's tables.

    Attributes:
        dataset: What was tested on.
        setting: "oracle_obj" or "pred_obj".
        values: Heading -> percent; None where the paper has none.
    """

    dataset: str
    setting: str
    values: Mapping[str, float | None]

    @property
    def title(self) -> str:
        """How the paper writes the dataset."""
        return TITLES[self.dataset]
