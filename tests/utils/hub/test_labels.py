"""Labels that are a dataset of the Hub."""

from ovparts_hf.data.custom.dataset import prepare_custom
from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import find_reader
from ovparts_hf.data.part_dataset import PartDataset

from ...data.formats.writers import table
from ...data.labelled import PARTS


def test_a_dataset_of_the_hub_is_prepared(hub, here, tmp_path):
    table(6).to_parquet(tmp_path / "train.parquet")
    repository = hub.create("dataset", "me/labels", private=True)
    repository.add_commit("labels", {"data/train-00000-of-00001.parquet": (tmp_path / "train.parquet").read_bytes()})
    assert find_reader(Source("me/labels")).name == "datasets"
    out = prepare_custom("me/labels", tmp_path / "parts", progress=False)
    dataset = PartDataset.load(out, tmp_path / "cache")
    assert dataset.taxonomy.part_classes == PARTS
    assert sorted(i for split in dataset.splits.values() for i in split["image_id"]) == [
        f"photo{n:02d}" for n in range(6)
    ]
