"""The facts about Pascal-Part-116 (OV-PARTS, NeurIPS 2023 Datasets and Benchmarks)."""

from pathlib import Path

from ovparts_hf.data.preparation.builder import ReleaseBuilder
from ovparts_hf.data.preparation.release import ReleaseLayout
from ovparts_hf.taxonomy import PASCAL_PART_116


class PascalPart116(ReleaseBuilder):
    """Pascal VOC photographs with 116 part classes of 20 object classes, 15 of them seen."""

    TAXONOMY = PASCAL_PART_116
    LAYOUT = ReleaseLayout(
        folder_names=("PascalPart116", "Pascal-Part-116"),
        split_folders={"train": "train", "validation": "val"},
        object_maps="annotations_detectron2_obj",
        part_maps="annotations_detectron2_part",
        few_shot_list="train_16shot.json",
        images_in_paper={"train": 8431, "validation": 850},
    )
    CARD = Path(__file__).with_name("README.md")
