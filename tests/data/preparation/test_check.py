"""Checks count what is there and see through a spoiled dataset."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ovparts_hf.cli import main
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import RELEASES, ADE20KPart234, PascalPart116
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PASCAL_PART_116


def run(path, **options):
    return check(path, RELEASES, progress=False, **options)


@pytest.mark.parametrize(
    ("archive", "name", "sizes"),
    [
        ("pascal_archive", "pascal-part-116", [("train", 8, 8431), ("validation", 6, 850)]),
        ("ade_archive", "ade20k-part-234", [("train", 6, 7347), ("validation", 4, 1016)]),
    ],
)
@pytest.mark.parametrize("num_proc", [1, 2])
def test_archives(archive, name, sizes, num_proc, request):
    result = run(request.getfixturevalue(archive), num_proc=num_proc)
    assert result.ok
    assert (result.dataset, result.kind) == (name, "release")
    assert [(split.split, split.found, split.expected) for split in result.splits[:2]] == sizes
    assert set(result.splits[0].files.values()) == {result.splits[0].found}


def test_parent_of_one_and_of_two(pascal_root, ade_root):
    assert "holds several releases" in run(pascal_root.parent).problems[0]
    assert run(ade_root).dataset == "ade20k-part-234"
    shutil.rmtree(ade_root)
    assert run(pascal_root.parent).ok


def test_renamed_folder_is_known_by_its_files(ade_root):
    assert run(ade_root.rename(ade_root.with_name("data"))).dataset == "ade20k-part-234"


@pytest.mark.parametrize("folder", ["pascal_folder", "ade_folder"])
def test_prepared(folder, request):
    result = run(request.getfixturevalue(folder), num_proc=2)
    assert result.ok
    assert result.kind == "prepared"
    assert len(result.splits) == 4
    assert all(split.found == split.expected > 0 for split in result.splits)


def test_text_and_json(pascal_folder, tmp_path):
    good, bad = run(pascal_folder), run(tmp_path / "nowhere")
    assert "No problem." in good.to_text()
    assert json.loads(good.to_json())["ok"] is True
    assert json.loads(bad.to_json())["problems"] == bad.problems
    assert f"1 problem:\n- {tmp_path / 'nowhere'} does not exist" in bad.to_text()


def test_an_incomplete_release_is_a_warning(pascal_archive, pascal_folder, monkeypatch, capsys):
    result = run(pascal_archive)
    said = "Incomplete: train has 8 of 8,431 images, validation has 6 of 850 images."
    assert result.incomplete == json.loads(result.to_json())["incomplete"] == said
    assert f"warning: {said}\nNo other problem." in result.to_text()
    assert run(pascal_folder).incomplete is None  # as its card promises
    assert run(pascal_folder).notes == [said]
    assert main(["check", str(pascal_archive)]) == 1
    layout = replace(PascalPart116.LAYOUT, images_in_paper={"train": 8, "validation": 6})
    monkeypatch.setattr(PascalPart116, "LAYOUT", layout)
    assert main(["check", str(pascal_archive)]) == 0
    assert capsys.readouterr().out.endswith("No problem.\n")


def counted_from_one(values, ignore):
    """As if 0 were the background, which the release marks with the ignore index."""
    return np.where(values == ignore, 0, values + 1).astype(values.dtype)


def shuffled(values, ignore):
    """As by a program that sorts the palette anew."""
    return np.where(values == ignore, ignore, 115 - values).astype(values.dtype)


PASCAL_MAPS = {"both": "annotations_*", "parts": "annotations_*_part", "objects": "annotations_*_obj"}


class TestIdsThatMeanSomethingElse:
    def refused(self, builder, root, tmp_path):
        problems = run(root).problems
        assert problems
        assert all("mean other classes" in problem for problem in problems)
        with pytest.raises(DatasetError, match="mean other classes, .*images that were compared"):
            write_repository(builder(data_dir=root), tmp_path / "out", progress=False)
        return "\n".join(problems)

    def edit(self, root, maps, change, ignore):
        for path in root.glob(f"{maps}/*/[!.]*.png"):
            with Image.open(path) as image:
                values = np.asarray(image)
            Image.fromarray(change(values, ignore)).save(path)

    @pytest.mark.parametrize("maps", PASCAL_MAPS)
    def test_counted_from_one(self, maps, pascal_root, tmp_path):
        for path in pascal_root.glob("annotations_*/*/[!.]*.png"):  # the last ids would not be valid ones
            with Image.open(path) as image:
                values = np.asarray(image)
            last = 115 if "part" in path.parts[-3] else 19
            Image.fromarray(np.where(values == last, 255, values).astype(np.uint8)).save(path)
        self.edit(pascal_root, PASCAL_MAPS[maps], counted_from_one, 255)
        self.refused(PascalPart116, pascal_root, tmp_path)

    def test_another_palette(self, pascal_root, tmp_path):
        self.edit(pascal_root, "annotations_*_part", shuffled, 255)
        self.refused(PascalPart116, pascal_root, tmp_path)

    def test_one_image(self, pascal_root, tmp_path):
        path = pascal_root / "annotations_detectron2_part/val/2010_000001.png"
        with Image.open(path) as image:
            values = np.asarray(image)
        part = PASCAL_PART_116.part_classes.index("tvmonitor's screen")
        Image.fromarray(np.where(values == 255, 255, part).astype(np.uint8)).save(path)
        found = self.refused(PascalPart116, pascal_root, tmp_path)
        assert f'{path.name} has "tvmonitor\'s screen" where there is no tvmonitor' in found

    def test_categories_counted_from_one(self, ade_root, tmp_path):
        for path in ade_root.glob("ade20k_instance_*.json"):
            data = json.loads(path.read_text())
            for annotation in data["annotations"]:
                annotation["category_id"] = (annotation["category_id"] + 1) % 44
            path.write_text(json.dumps(data))
        self.refused(ADE20KPart234, ade_root, tmp_path)

    def test_in_a_prepared_dataset(self, pascal_root, tmp_path, monkeypatch):
        self.edit(pascal_root, "annotations_*_part", shuffled, 255)
        with monkeypatch.context() as patch:
            patch.setattr("ovparts_hf.data.preparation.builder._TOLERATED", 1)
            out = write_repository(PascalPart116(data_dir=pascal_root), tmp_path / "out", progress=False)
        assert "part_map has" in run(out).problems[0]


class TestSpoiled:
    @pytest.fixture
    def out(self, ade_folder, tmp_path):
        return shutil.copytree(ade_folder, tmp_path / "out")

    def shard(self, out):
        return next(out.glob("data/validation-*"))

    def rewrite(self, out, edit):
        table = pq.read_table(self.shard(out))
        rows = table.to_pylist()
        edit(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), self.shard(out))
        return "\n".join(run(out).problems)

    def test_missing_shard(self, out):
        self.shard(out).unlink()
        problems = "\n".join(run(out).problems)
        assert "Split validation has 0 images, but README.md says 4" in problems
        assert "changed after README.md was written" in problems

    def test_truncated_shard(self, out):
        self.shard(out).write_bytes(self.shard(out).read_bytes()[:-100])
        assert f"{self.shard(out).name} is not a whole Parquet file" in "\n".join(run(out).problems)

    def test_row_twice(self, out):
        assert "image_id 'ADE_val_00000001' occurs 2 times" in self.rewrite(out, lambda rows: rows.append(rows[0]))

    def test_labels_that_do_not_fit_the_maps(self, out):
        problems = self.rewrite(out, lambda rows: rows[0].update(parts=[1]))
        assert "ADE_val_00000001: the columns ['parts'] do not agree with the maps" in problems

    def test_swapped_maps(self, out):
        def swap(rows):
            rows[0]["part_map"], rows[1]["part_map"] = rows[1]["part_map"], rows[0]["part_map"]

        problems = self.rewrite(out, swap)
        assert "ADE_val_00000001, part_map is 128 x 96, but its image is 120 x 90 pixels" in problems

    def test_broken_image_and_mask(self, out):
        def spoil(rows):
            rows[0]["image"]["bytes"] = b"nothing"
            rows[1]["instances"][0]["mask"]["counts"] = "abc"

        problems = self.rewrite(out, spoil)
        assert "ADE_val_00000001, image is not a whole image" in problems
        assert "The run lengths of an instance of" in problems

    @pytest.mark.parametrize("card", ["no header", "---\nlicense: mit\n---\n", "---\ndataset_info: 3\n---\n"])
    def test_card(self, out, card):
        (out / "README.md").write_text(card)
        assert "README.md" in run(out).problems[0]

    def test_no_card_and_no_taxonomy(self, out):
        (out / "README.md").write_bytes(b"\xff")
        assert "codec can't decode" in run(out).problems[0]
        (out / "README.md").unlink()
        assert "README.md" in run(out).problems[0]
        (out / "taxonomy.json").write_text("{")
        assert "taxonomy.json is not valid JSON" in run(out).problems[0]
        (out / "taxonomy.json").unlink()
        assert "taxonomy.json" in run(out).problems[0]
