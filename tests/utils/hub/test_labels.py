"""Labels that are a dataset of the Hub."""

from ovparts_hf.data.custom.dataset import prepare_custom
from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import find_reader
from ovparts_hf.data.part_dataset import PartDataset

from ...data.formats.writers import table, write_imagefolder
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


def test_folders_of_images_on_the_hub_hold_their_names_too(hub, here, tmp_path):
    write_imagefolder(tmp_path / "d")
    files = {
        path.relative_to(tmp_path / "d").as_posix(): path for path in (tmp_path / "d").rglob("*") if path.is_file()
    }
    repository = hub.create("dataset", "me/folders", private=True)
    repository.add_commit("labels", {name: path.read_bytes() for name, path in files.items()})
    dataset = PartDataset.load(prepare_custom("me/folders", tmp_path / "parts", progress=False), tmp_path / "cache")
    assert dataset.taxonomy.part_classes == PARTS
    assert sum(len(split) for split in dataset.splits.values()) == 3
