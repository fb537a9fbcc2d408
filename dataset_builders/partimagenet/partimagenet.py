"""The facts about PartImageNet (ECCV 2022), as PartCLIPSeg and PartCATSeg use its split of segmentation."""

from pathlib import Path

from ovparts_hf.data.formats.partimagenet import PartImageNetLayout
from ovparts_hf.data.preparation.label_builder import LabelFilesBuilder
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PARTIMAGENET
from ovparts_hf.utils.files import read_json

PARTS = (
    *("head", "body", "foot", "tail"),  # quadruped
    *("head", "body", "hand", "foot", "tail"),  # biped
    *("head", "body", "fin", "tail"),  # fish
    *("head", "body", "wing", "foot", "tail"),  # bird
    *("head", "body"),  # snake
    *("head", "body", "foot", "tail"),  # reptile
    *("body", "tier", "side mirror"),  # car
    *("body", "head", "seat", "tier"),  # bicycle
    *("body", "sail"),  # boat
    *("head", "body", "engine", "wing", "tail"),  # aeroplane
    *("mouth", "body"),  # bottle
)
"""The 40 categories of the labels, in the order of their ids, spelled as published."""


class PartImageNet(LabelFilesBuilder):
    """Photographs of ImageNet, each of one object, with 147 part classes of 40 object classes, 25 of them seen."""

    TAXONOMY = PARTIMAGENET
    LAYOUT = PartImageNetLayout(
        folder_names=("PartImageNet", "PartImageNet_Seg"),
        objects=read_json(Path(__file__).with_name("synsets.json"), DatasetError),
        parts=PARTS,
        seen=PARTIMAGENET.seen_objects,
    )
    CARD = Path(__file__).with_name("README.md")
