"""The facts about PACO-LVIS (CVPR 2023)."""

from pathlib import Path

from ovparts_hf.data.formats.paco import PacoLayout
from ovparts_hf.data.preparation.label_builder import LabelFilesBuilder
from ovparts_hf.taxonomy import PACO_LVIS


class PacoLVIS(LabelFilesBuilder):
    """Photographs of COCO with 456 part classes of 75 object classes, and object instances."""

    TAXONOMY = PACO_LVIS
    LAYOUT = PacoLayout()
    CARD = Path(__file__).with_name("README.md")
