import json
from types import SimpleNamespace

import numpy as np
import pytest

from ovparts_hf.data.few_shot import FewShotList
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.records import Record
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.taxonomy.tasks import get_task

FEW_SHOT = get_task("few_shot")


@pytest.fixture(params=["pascal", "ade"])
def dataset(request):
    return PartDataset.load(request.getfixturevalue(f"{request.param}_folder"))  # tests change it


def images_by_part(dataset, chosen=None):
    found = {}
    for row, image_id in enumerate(dataset.splits["train"]["image_id"]):
        if chosen is None or image_id in chosen:
            for part in dataset.parts_in(Record("train", row)):
                found.setdefault(part, set()).add(image_id)
    return found


@pytest.mark.parametrize("shots", [1, 2, 100])
def test_every_part_has_as_many_images_as_can_be(dataset, shots):
    drawn = FewShotList.draw(dataset, shots)
    available, found = images_by_part(dataset), images_by_part(dataset, drawn.image_ids)
    assert available and found.keys() == available.keys()
    assert all(len(found[part]) >= min(shots, len(available[part])) for part in available)
    labelled = set().union(*available.values())
    assert set(drawn.image_ids) <= labelled
    if shots == 100:
        assert set(drawn.image_ids) == labelled


class ManyImages:
    """A training split of 80 images with two of ten parts each, the first ones rare."""

    taxonomy = SimpleNamespace(name="many")

    def __init__(self, order=1):
        generator = np.random.default_rng(0)
        pairs = [generator.choice(10, 2, replace=False, p=np.arange(1, 11) / 55) for _ in range(80)]
        self.rows = [(f"image {i}", tuple(parts)) for i, parts in enumerate(pairs)][::order]
        self.splits = {"train": {"image_id": [image_id for image_id, _ in self.rows]}}

    def parts_in(self, record):
        return self.rows[record.row][1]


def test_the_seed_decides_and_the_order_of_rows_does_not():
    assert FewShotList.draw(ManyImages(), 4, seed=3) == FewShotList.draw(ManyImages(-1), 4, seed=3)
    assert len({FewShotList.draw(ManyImages(), 4, seed).image_ids for seed in range(5)}) == 5


def test_draws_are_balanced():
    dataset = ManyImages()
    drawn = FewShotList.draw(dataset, 4)
    counts = {part: len(names) for part, names in images_by_part(dataset, drawn.image_ids).items()}
    everything = {part: len(names) for part, names in images_by_part(dataset).items()}
    assert min(counts.values()) == 4 and len(drawn.image_ids) <= 40
    assert max(counts.values()) / min(counts.values()) < max(everything.values()) / min(everything.values())


def test_a_list_is_written_read_and_used(dataset, tmp_path):
    drawn = FewShotList.draw(dataset, 1, seed=1)
    drawn.to_json(tmp_path / "list.json")
    read = FewShotList.from_json(tmp_path / "list.json")
    assert read == drawn
    read.apply(dataset)
    image_ids = dataset.splits["train"]["image_id"]
    records = dataset.training_records(FEW_SHOT)
    assert {image_ids[record.row] for record in records} <= set(drawn.image_ids)
    assert records
    scored = {image_ids[r.row] for r in dataset.evaluation_records(FEW_SHOT) if r.split == "train"}
    assert not scored & set(drawn.image_ids)
    assert dataset.few_shot_source.startswith("1 shots, seed 1: ")


def test_lists_of_other_data_are_refused(pascal, ade):
    drawn = FewShotList.draw(pascal, 1)
    with pytest.raises(ConfigurationError, match="no training images of 'ade20k-part-234'"):
        drawn.apply(ade)
    with pytest.raises(ConfigurationError, match=r"such as \['nowhere'\]"):
        FewShotList(pascal.taxonomy.name, 1, 0, ("nowhere",)).apply(pascal)
    assert pascal.few_shot_source == ade.few_shot_source == "release"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "is not valid JSON"),
        *(
            (c, "is not a list of few-shot images")
            for c in ("[]", "{}", '{"format": "ovparts-few-shot", "version": 2}')
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, fault):
    path = tmp_path / "list.json"
    with pytest.raises(ConfigurationError, match="cannot be read: No such file.*Make one with `ovparts few-shot`"):
        FewShotList.from_json(path)
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"{fault}.*Make one with `ovparts few-shot`"):
        FewShotList.from_json(path)


def test_unknown_keys_and_bad_shots_are_refused(pascal, tmp_path):
    path = tmp_path / "list.json"
    FewShotList.draw(pascal, 1).to_json(path)
    drawn = json.loads(path.read_text())
    for name in ("shots", "seed"):
        for value in (None, 1.5, "1", True, []):
            path.write_text(json.dumps({**drawn, name: value}))
            with pytest.raises(ConfigurationError, match="is not a list of few-shot images"):
                FewShotList.from_json(path)
    path.write_text(json.dumps({**drawn, "extra": 1}))
    with pytest.raises(ConfigurationError, match="is not a list of few-shot images"):
        FewShotList.from_json(path)
    with pytest.raises(ConfigurationError, match="shots is 0"):
        FewShotList.draw(pascal, 0)
