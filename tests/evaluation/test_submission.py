import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.submission import MANIFEST, read_manifest, write_manifest, write_predictions
from ovparts_hf.taxonomy.tasks import get_task


@pytest.fixture(params=["pascal", "ade"])
def dataset(request):
    return request.getfixturevalue(request.param)


def label_maps(dataset, value=0):
    for record in dataset.evaluation_records(get_task("zero_shot")):
        yield record, np.full(dataset.read(record).part_map.shape, value)


def change_manifest(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_manifest_names_every_map_once(dataset, tmp_path):
    path = write_manifest(tmp_path / "new", dataset, model="tiny")
    manifest = json.loads(path.read_text())
    records = dataset.evaluation_records(get_task("zero_shot"))
    assert len(manifest["maps"]) == len({entry["file"] for entry in manifest["maps"]}) == len(records)
    for entry, record in zip(manifest["maps"], records):
        assert (entry["split"], entry["row"], entry["instance"]) == (record.split, record.row, record.instance)
        assert entry["object"] == dataset.taxonomy.object_classes[record.object_id]
        assert entry["image_id"] == dataset.read(record).image_id
    assert manifest["part_classes"] == list(dataset.taxonomy.part_classes)
    assert manifest["dataset"] == {"name": dataset.taxonomy.name, "fingerprint": dataset.fingerprint}
    assert (manifest["bits"], manifest["no_answer"]) == {255: (8, 255), 65535: (16, 65535)}[
        dataset.taxonomy.ignore_index
    ]


def test_the_format_stays(dataset, tmp_path):
    """Manifests of version 1 are out in the world: `read_manifest` compares these keys."""
    manifest = json.loads(write_manifest(tmp_path, dataset).read_text())
    assert (manifest["format"], manifest["version"]) == ("ovparts-predictions", 1)
    assert list(manifest) == [
        *("format", "version", "dataset", "task", "setting", "model", "bits", "no_answer", "part_classes", "maps")
    ]
    assert list(manifest["maps"][0]) == ["file", "split", "row", "image_id", "object", "instance"]


@pytest.mark.parametrize("setting", ["pred_obj", "pred_all"])
def test_without_given_objects_an_image_has_one_map(dataset, tmp_path, setting):
    manifest = json.loads(write_manifest(tmp_path, dataset, setting=setting).read_text())
    images = {(r.split, r.row) for r in dataset.evaluation_records(get_task("zero_shot"))}
    assert {(entry["split"], entry["row"]) for entry in manifest["maps"]} == images
    assert len(manifest["maps"]) == len(images)
    assert {entry["object"] for entry in manifest["maps"]} == {None}


def test_written_maps_are_lossless(dataset, tmp_path):
    last = len(dataset.taxonomy.part_classes) - 1
    expected = {}
    for record, label_map in label_maps(dataset, last):
        label_map[0] = -1
        expected[record] = label_map
    folder = write_predictions(tmp_path / "out", dataset, expected.items(), model="tiny")
    manifest, files = read_manifest(folder, dataset)
    assert manifest["model"] == "tiny"
    assert list(files) == list(expected)
    for record, path in files.items():
        with Image.open(path) as image:
            assert image.mode == {8: "L", 16: "I;16"}[manifest["bits"]]
            found = np.asarray(image).astype(int)
        np.testing.assert_array_equal(np.where(found == dataset.taxonomy.ignore_index, -1, found), expected[record])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps[1:], "1 label maps are missing, such as"),
        (lambda maps: [*maps, maps[0]], "does not belong to task zero_shot, or came twice"),
        (lambda maps: [(r, m + 1000) for r, m in maps], r"holds the ids \[1000\]"),
        (lambda maps: [(r, m + 0.5) for r, m in maps], "dtype float64"),
    ],
)
def test_wrong_predictions_leave_the_old_folder(pascal, tmp_path, change, message):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    with pytest.raises(ConfigurationError, match=message):
        write_predictions(tmp_path / "out", pascal, change(list(label_maps(pascal))))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old.txt"]


def test_a_manifest_alone_says_what_is_missing(pascal, tmp_path):
    write_manifest(tmp_path, pascal)
    count = len(pascal.evaluation_records(get_task("zero_shot")))
    with pytest.raises(ConfigurationError, match=rf"{count} of {count} label maps are missing.*validation-0000"):
        read_manifest(tmp_path, pascal)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "coco"}, r"not a manifest of format.*'coco'"),
        ({"version": 2}, "not a manifest of format"),
        ({"task": "x"}, "Unknown task 'x'"),
        ({"task": "few_shot", "setting": "pred_all"}, "'maps' of .* does not fit this dataset and task"),
        ({"bits": 16}, "'bits' of .* does not fit this dataset and task: 16 instead of 8"),
        ({"part_classes": ["cat's ear"]}, "'part_classes' of .* does not fit"),
        ({"dataset": {"name": "other"}}, "'dataset' of .* does not fit"),
    ],
)
def test_manifests_that_do_not_fit_are_refused(pascal, tmp_path, changes, message):
    folder = write_predictions(tmp_path / "out", pascal, label_maps(pascal))
    change_manifest(folder, **changes)
    with pytest.raises(ConfigurationError, match=message):
        read_manifest(folder, pascal)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_other_files_are_refused(pascal, tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ConfigurationError, match="submit-format"):
        read_manifest(tmp_path, pascal)
