"""What a family says of itself in its folder, in `facts.py`: for help, cards and error messages, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Weights:
    """What cards say about weights that models start from."""

    description: str
    licence: str  # a description with the licence
    unconfirmed: str = ""  # about the licence
    terms: str = ""  # link


@dataclass(frozen=True)
class AuthorsModels:
    """The zero-shot models that a family's own authors trained; each has a recipe of the family's name.

    Attributes:
        repository: On GitHub, "owner/name".
        code_licence: Of that repository.
        checkpoints: Dataset -> name of the checkpoint that they released; empty if they released none.
        backbone: In words.
        finetuning: Groups of parameters, as `set_trainable` takes them.
        starts_from: Hub ids of weights.
        metrics: Their definitions of the numbers, as `ovparts evaluate --metrics` takes them.
        convert: Options that convert a checkpoint; "{dataset}" stands for the dataset.
        dataset_options: Dataset -> further such options.
        preparation: Command before training; empty if there is none.
    """

    repository: str
    code_licence: str
    checkpoints: Mapping[str, str]
    backbone: str
    finetuning: str
    starts_from: tuple[str, ...]
    metrics: str
    convert: str
    dataset_options: Mapping[str, str] = field(default_factory=dict)
    preparation: str = ""

    @property
    def url(self) -> str:
        """Of the repository."""
        return f"https://github.com/{self.repository}"


@dataclass(frozen=True)
class FamilyFacts:
    """What is known about a model family. All but the title is optional.

    Attributes:
        title: Its name as its authors write it.
        paper: Reference in Markdown.
        masked_title: Name of the variant that requires object masks, if there is one.
        base_title: Name of the pretrained models that it is built on, which `ovparts convert --base` takes; empty if it
            needs none.
        convert_options: Options of `ovparts convert` that only some families take, by their names in Python.
        checkpoint_keys: Beginnings of keys by which a checkpoint of its authors is recognised.
        contains: Family whose `checkpoint_keys` are in its checkpoints, too.
        toy_prompts: Further toy version -> the recipe of the prompts that are tuned for it first; both are names of
            files in `toy/`. The first toy version has the name of the family, if there is such a recipe.
        authors: Models of parts that its own authors trained, if there are any.
        weights: Hub id of weights that only this family, and those built on it, start from -> what cards say of them.
    """

    title: str
    paper: str = ""
    masked_title: str = ""
    base_title: str = ""
    convert_options: frozenset[str] = frozenset()
    checkpoint_keys: tuple[str, ...] = ()
    contains: str = ""
    toy_prompts: Mapping[str, str] = field(default_factory=dict)
    authors: AuthorsModels | None = None
    weights: Mapping[str, Weights] = field(default_factory=dict)
