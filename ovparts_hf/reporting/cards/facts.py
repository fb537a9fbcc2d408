"""The facts that cards state: about datasets, starting weights, model families and models.

A new dataset, or weights that several families start from, are described here, by an entry of `DATASETS` or `WEIGHTS`.
Families describe themselves and their own weights in `models/<family>/facts.py`, and at more length in
`models/<family>/model_card.j2`. All of it is optional: a card says that it does not know, or says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...models.auto import FAMILIES, config_class, family_facts
from ...models.family_facts import AuthorsModels, FamilyFacts, Weights
from ...taxonomy import TOY_WORLD, PartTaxonomy, split_part_class
from ...toy.garden import TOY_GARDEN

Origin = Literal["released", "recipe", "stock", "trained", "unknown"]
"""Of the weights: released by the paper's authors, made by a recipe of this library, stock weights that were never
fine-tuned for parts, trained by the reader, or unknown."""

CLIP = "openai/clip-vit-base-patch16"
RESNET = "timm/resnet50.tv_in1k"
TRANSFORMERS_RESNET = "microsoft/resnet-50"
IMAGENET_RESNET = "a ResNet trained on ImageNet"
"""Weights without a Hub id."""


@dataclass(frozen=True)
class DatasetFacts:
    """What cards say about a dataset."""

    title: str
    terms: str = ""  # link; empty if everybody may use the images, or nothing is known
    license_name: str = ""
    images: str = ""  # what they are, with their licence
    bias: str = ""  # what a model learns from them, and what it does not
    unconfirmed: str = ""  # about the licence
    size: str = "1K<n<10K"  # images, as the Hub has it
    of_ov_parts: bool = False  # whether the part labels are those of OV-PARTS


_RARE = "What is rare there (other places and times, drawings, views from above) may be found less well; not measured."
_IMAGENET_TERMS = "https://image-net.org/download"
_IMAGENET_IMAGES = "images of ImageNet, which are for non-commercial research and education"
_PARTIMAGENET_LABELS = "the licence of the part labels of PartImageNet"
DATASETS = {
    "pascal-part-116": DatasetFacts(
        "Pascal-Part-116",
        "http://host.robots.ox.ac.uk/pascal/VOC/",
        "flickr-terms-research-only",
        "images of PASCAL VOC, which are under Flickr's terms and limited to research",
        f"photographs of 20 common objects on Flickr. {_RARE}",
        of_ov_parts=True,
    ),
    "ade20k-part-234": DatasetFacts(
        "ADE20K-Part-234",
        "https://groups.csail.mit.edu/vision/datasets/ADE20K/terms/",
        "ade20k-research-only",
        "images of ADE20K, which are for non-commercial research; its annotations are under BSD-3",
        f"photographs of scenes. {_RARE}",
        "the exact wording of ADE20K's terms",
        of_ov_parts=True,
    ),
    "partimagenet": DatasetFacts(
        "PartImageNet",
        _IMAGENET_TERMS,
        "imagenet-research-only",
        _IMAGENET_IMAGES,
        f"photographs of single objects, 40 kinds of animals, vehicles and bottles. {_RARE}",
        _PARTIMAGENET_LABELS,
    ),
    "partimagenet-ood": DatasetFacts(
        "PartImageNet-OOD",
        _IMAGENET_TERMS,
        "imagenet-research-only",
        _IMAGENET_IMAGES,
        f"photographs of single objects, 128 kinds of animals, vehicles and bottles. {_RARE}",
        _PARTIMAGENET_LABELS,
        size="10K<n<100K",
    ),
    "paco-lvis": DatasetFacts(
        "PACO-LVIS",
        "https://cocodataset.org/#termsofuse",
        "flickr-terms",
        "images of COCO, which are under the terms of Flickr and of each photographer",
        f"photographs of everyday objects on Flickr. {_RARE}",
        "the licence of the part labels of PACO",
        size="10K<n<100K",
    ),
    "toy-world": DatasetFacts(
        "Toy world",
        images="images drawn by `ovparts_hf` (Apache-2.0)",
        bias=f"drawings of {len(TOY_WORLD.object_classes)} objects. On photographs its predictions mean nothing.",
    ),
}
_RESNET = Weights(
    IMAGENET_RESNET, f"{IMAGENET_RESNET}, whose licence was not checked", "the licence of the ResNet's weights"
)
WEIGHTS = {
    CLIP: Weights("CLIP ViT-B/16", "CLIP (OpenAI, whose code is under MIT)"),
    RESNET: Weights(
        "torchvision's ResNet-50, trained on ImageNet",
        "the ResNet weights of torchvision (BSD-3-Clause, as timm's code states)",
        f"the licence tag of {RESNET} on the Hub",
    ),
    TRANSFORMERS_RESNET: _RESNET,
    IMAGENET_RESNET: _RESNET,
}
WEIGHTS |= {name: weights for family in FAMILIES for name, weights in family_facts(family).weights.items()}


def dataset_facts(name: str) -> DatasetFacts:
    """What is known about a dataset; of an unknown one only its name."""
    return DATASETS.get(name, DatasetFacts(name))


@dataclass(frozen=True)
class PublishedNumbers:
    """A line of the paper's tables."""

    dataset: str
    setting: str
    values: Mapping[str, float | None]  # heading -> percent


@dataclass(frozen=True)
class ModelFacts:
    """What the card of a model is made from."""

    name: str  # of its repository, e.g. "clipseg-pascal-part-116-zero-shot"
    title: str
    family: str  # a key of models.auto.FAMILIES
    origin: Origin
    model: str  # its name in the paper's tables, or the family's
    location: str  # the argument of `from_pretrained`: a folder, or a Hub id
    backbone: str = ""
    finetuning: str | None = None
    task: str | None = None  # of the training
    trained_on: PartTaxonomy | None = None
    evaluations: tuple[tuple[str, str], ...] = ()  # folder of the data, and options of `ovparts evaluate`
    starts_from: tuple[str, ...] = ()  # keys of WEIGHTS
    commands: tuple[str, ...] = ()  # make the folder from a checkpoint
    training: tuple[str, ...] = ()  # commands
    published: tuple[PublishedNumbers, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the training, those that are not the defaults
    vocabulary: tuple[str, ...] = ()  # class names saved with the model, used when none are given

    @property
    def about(self) -> FamilyFacts:
        """What is known about the family."""
        return family_facts(self.family)

    @property
    def open_vocabulary(self) -> bool:
        """Whether it takes any class names."""
        return not config_class(self.family).has_closed_vocabulary

    @property
    def data(self) -> DatasetFacts | None:
        """What is known about the training data."""
        return self.trained_on and dataset_facts(self.trained_on.name)

    @property
    def weights(self) -> list[Weights]:
        """What it starts from."""
        return [WEIGHTS[name] for name in self.starts_from]

    @property
    def published_on(self) -> list[str]:
        """Titles of the datasets of the paper's numbers."""
        return list(dict.fromkeys(dataset_facts(line.dataset).title for line in self.published))

    @property
    def is_benchmark(self) -> bool:
        """Whether it is a row of the paper's tables, or a model of a family's authors."""
        return self.origin in ("released", "recipe", "stock")

    @property
    def authors(self) -> AuthorsModels | None:
        """What is known about it from its family's authors, if it is theirs."""
        return self.about.authors if self.is_benchmark else None

    @property
    def requires_object_masks(self) -> bool:
        """Whether it segments only objects whose masks are given."""
        return self.model == self.about.masked_title

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
    def unseen_objects(self) -> list[str]:
        """The objects of the training data whose parts are not seen; those without parts are neither."""
        data = self.trained_on
        ids = () if data is None else data.unseen_part_ids
        return list(dict.fromkeys(data.object_classes[data.object_of(part)] for part in ids))

    @property
    def research_only(self) -> bool:
        """Whether nothing is known that allows more than research."""
        return self.origin == "stock" or (self.data is not None and bool(self.data.terms))

    @property
    def is_toy(self) -> bool:
        """Whether everything about it was drawn or trained by this library."""
        known = self.trained_on is not None and self.trained_on.name in (TOY_WORLD.name, TOY_GARDEN.name)
        return known and str(self.arguments.get("model", "")).startswith("toy")


def _first_object(classes: Sequence[str]) -> dict[str, list[str]]:
    """The object of the first class and up to three of its parts; empty if no class is a part of an object."""
    pairs = [split_part_class(name) for name in classes if "'s " in name]
    return {pairs[0][0]: [part for name, part in pairs if name == pairs[0][0]][:3]} if pairs else {}
