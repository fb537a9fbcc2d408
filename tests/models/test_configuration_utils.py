"""What all configurations share: the size at which the benchmark scores each model."""

from __future__ import annotations

import pytest

from ovparts_hf.models.catseg.configuration_catseg import CATSegConfig
from ovparts_hf.models.clipseg.configuration_clipseg import CLIPSegPartConfig
from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.zsseg.configuration_zsseg import ZSSegConfig

PLAIN = {"object_mask_prompt": False, "prompt_lengths": None}


def test_crops_of_plain_zsseg_are_no_larger_than_the_box(tmp_path):
    assert (ZSSegConfig().crop_ratio, ZSSegConfig(**PLAIN).crop_ratio) == (1.2, 1.0)
    ZSSegConfig(**PLAIN, crop_ratio=1.2).save_pretrained(tmp_path)  # as folders of earlier versions have it
    assert ZSSegConfig.from_pretrained(tmp_path).crop_ratio == 1.2


@pytest.mark.parametrize(
    ("config_class", "fields", "size"),
    [
        (CLIPSegPartConfig, {}, [800, 1333]),
        (CATSegConfig, {}, [640, 768]),
        (MaskFormerPartConfig, {}, [512, 2048]),
        (ZSSegConfig, {}, [512, 768]),
        (ZSSegConfig, PLAIN, [512, 2048]),
    ],
)
def test_labels_are_scored_at_the_size_of_the_original_data_mapper(config_class, fields, size, tmp_path):
    assert list(config_class(**fields).eval_label_size) == size
    for chosen in (None, [800, 1333]):  # as folders of earlier versions have it
        config_class(**fields, eval_label_size=chosen).save_pretrained(tmp_path)
        assert config_class.from_pretrained(tmp_path).eval_label_size == chosen
