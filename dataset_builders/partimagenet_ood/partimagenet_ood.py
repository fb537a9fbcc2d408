"""The facts about PartImageNet (ECCV 2022), as PartCATSeg uses its split of objects that are not in training."""

from pathlib import Path

from ovparts_hf.data.formats.partimagenet import PartImageNetLayout
from ovparts_hf.data.preparation.label_builder import LabelFilesBuilder
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PARTIMAGENET_OOD
from ovparts_hf.utils.files import read_json

from ..partimagenet import PARTS


class PartImageNetOOD(LabelFilesBuilder):
    """Photographs of ImageNet, each of one object, with 482 part classes of 128 object classes, 109 of them seen."""

    TAXONOMY = PARTIMAGENET_OOD
    LAYOUT = PartImageNetLayout(
        folder_names=("PartImageNet_OOD",),
        objects=read_json(Path(__file__).with_name("synsets.json"), DatasetError),
        parts=PARTS,
        seen=PARTIMAGENET_OOD.seen_objects,
    )
    CARD = Path(__file__).with_name("README.md")
