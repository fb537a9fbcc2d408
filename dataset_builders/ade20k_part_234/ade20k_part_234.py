"""The facts about ADE20K-Part-234 (OV-PARTS, NeurIPS 2023 Datasets and Benchmarks)."""

from pathlib import Path

from ovparts_hf.data.preparation.builder import ReleaseBuilder
from ovparts_hf.data.preparation.release import ReleaseLayout
from ovparts_hf.taxonomy import ADE20K_PART_234


class ADE20KPart234(ReleaseBuilder):
    """ADE20K photographs with 234 part classes of 44 object classes, 33 of them seen, and object instances."""

    TAXONOMY = ADE20K_PART_234
    LAYOUT = ReleaseLayout(
        folder_names=("ADE20KPart234", "ADE20K-Part-234"),
        split_folders={"train": "training", "validation": "validation"},
        instance_files={"train": "ade20k_instance_train.json", "validation": "ade20k_instance_val.json"},
        part_maps="annotations_detectron2_part",
        few_shot_list="train_16shot.json",
        images_in_paper={"train": 7347, "validation": 1016},
    )
    CARD = Path(__file__).with_name("README.md")
