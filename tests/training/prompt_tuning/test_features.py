"""Features are those of the model, are computed once, and an interrupted computation continues."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.models.clip_regions import object_and_part_features, patch_features
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.training import StockCLIP
from ovparts_hf.training.prompt_tuning import features
from ovparts_hf.training.prompt_tuning.features import FeatureCache

ZERO_SHOT = get_task("zero_shot")


def test_interrupted_encoding_goes_on(
    pascal: PartDataset, tiny_clip: Path, tmp_path: Path, encoded_counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_OBJECTS_PER_FILE", 2)
    clip = StockCLIP.load(tiny_clip)
    records = pascal.evaluation_records(ZERO_SHOT)[:5]
    read = PartDataset.read

    def interrupted(self: PartDataset, record: Any) -> Any:
        if record == records[3]:
            raise KeyboardInterrupt
        return read(self, record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PartDataset, "read", interrupted)
        FeatureCache(tmp_path, clip, pascal, region_size=32).objects(records)
    assert sum(encoded_counts) == 2
    found = FeatureCache(tmp_path, clip, pascal, region_size=32).objects(records)
    assert sum(encoded_counts) == 5
    fresh = FeatureCache(None, clip, pascal, region_size=32).objects(records)
    assert found.keys() == fresh.keys() == set(records)
    for record, expected in fresh.items():
        torch.testing.assert_close(found[record], expected)


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_features_are_those_of_the_model(name: str, tiny_clip: Path, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    clip = StockCLIP.load(tiny_clip)
    record = dataset.evaluation_records(ZERO_SHOT)[1]
    sample, parts = dataset.read(record), dataset.parts_in(record)
    assert set(parts) == set(sample.part_map[sample.part_map != dataset.taxonomy.ignore_index].tolist())
    pixels = (_pixels(sample.image) - 0.5) / 0.25  # as its preprocessor says
    object_mask = torch.from_numpy(sample.object_map == record.object_id)
    part_masks = torch.stack([torch.from_numpy(sample.part_map == part) for part in parts])
    with torch.no_grad():
        encode = partial(patch_features, clip.model)
        whole, of_parts = object_and_part_features(encode, pixels, object_mask, part_masks, 1.2, 32)
    samples = [(record, part) for part in parts]
    rows = FeatureCache(None, clip, dataset, region_size=32).rows(samples)
    torch.testing.assert_close(rows.part_features, of_parts, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rows.object_features, whole.expand(len(parts), -1), rtol=1e-5, atol=1e-5)
    assert rows.part_ids.tolist() == list(parts)
    assert set(rows.object_ids.tolist()) == {record.object_id}


def _pixels(image: Image.Image) -> torch.Tensor:
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, 3).permute(2, 0, 1) / 255
