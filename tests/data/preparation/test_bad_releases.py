"""Every fault of a release gives one clear error that names the file, and no output."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import RELEASES, ADE20KPart234, PascalPart116
from ovparts_hf.errors import DatasetError

PART = "annotations_detectron2_part"
OBJECT = "annotations_detectron2_obj"


def write_mask(path, size=(120, 90), dtype=np.uint8, value=0, mode=None):
    Image.fromarray(np.full(size[::-1], value, dtype=dtype), mode=mode).save(path)


def edit_json(root, name, edit):
    path = root / name
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-600])


PASCAL_FAULTS = {
    "no images": (lambda r: shutil.rmtree(r / "images"), "PascalPart116/images/train is missing"),
    "no part maps": (lambda r: shutil.rmtree(r / PART / "val"), f"PascalPart116/{PART}/val is missing"),
    "no object maps": (lambda r: shutil.rmtree(r / OBJECT), f"PascalPart116/{OBJECT}/train is missing"),
    "no few-shot list": (lambda r: (r / "train_16shot.json").unlink(), "PascalPart116/train_16shot.json is missing"),
    "empty split": (
        lambda r: [path.unlink() for path in r.glob("*/val/*.*")],
        "PascalPart116/images/val holds no images",
    ),
    "image without part map": (
        lambda r: (r / PART / "val/2010_000001.png").unlink(),
        f"images/val/2010_000001.jpg has no mask PascalPart116/{PART}/val/2010_000001.png",
    ),
    "image without object map": (
        lambda r: (r / OBJECT / "train/2008_000002.png").unlink(),
        f"2008_000002.jpg has no mask PascalPart116/{OBJECT}/train/2008_000002.png",
    ),
    "map without image": (
        lambda r: write_mask(r / PART / "val/2010_999999.png"),
        f"{PART}/val/2010_999999.png has no image PascalPart116/images/val/2010_999999.jpg",
    ),
    "part map of another size": (
        lambda r: write_mask(r / PART / "val/2010_000001.png", (90, 120)),
        f"{PART}/val/2010_000001.png is 90 x 120, but PascalPart116/images/val/2010_000001.jpg is 120 x 90",
    ),
    "object map of another size": (
        lambda r: write_mask(r / OBJECT / "val/2010_000001.png", (60, 45)),
        f"{OBJECT}/val/2010_000001.png is 60 x 45",
    ),
    "part label out of range": (
        lambda r: write_mask(r / PART / "train/2008_000001.png", value=116),
        rf"{PART}/train/2008_000001.png holds the labels \[116\]; allowed are 0 to 115 and 255",
    ),
    "object label out of range": (
        lambda r: write_mask(r / OBJECT / "train/2008_000001.png", value=20),
        rf"{OBJECT}/train/2008_000001.png holds the labels \[20\]; allowed are 0 to 19",
    ),
    "16-bit map": (
        lambda r: write_mask(r / PART / "train/2008_000001.png", dtype=np.uint16),
        f"{PART}/train/2008_000001.png has image mode I;16; a mask of this dataset has one channel of 8 bits",
    ),
    "colour map": (
        lambda r: Image.new("RGB", (120, 90)).save(r / PART / "train/2008_000001.png"),
        f"{PART}/train/2008_000001.png has image mode RGB",
    ),
    "truncated map": (
        lambda r: truncate(r / PART / "train/2008_000001.png"),
        f"{PART}/train/2008_000001.png is not a whole PNG mask",
    ),
    "truncated image": (
        lambda r: truncate(r / "images/train/2008_000001.jpg"),
        "images/train/2008_000001.jpg is not a whole image",
    ),
    "no image at all": (
        lambda r: (r / "images/train/2008_000001.jpg").write_bytes(b"nothing"),
        "images/train/2008_000001.jpg is not a whole image",
    ),
    "empty image": (
        lambda r: (r / "images/train/2008_000001.jpg").write_bytes(b""),
        "images/train/2008_000001.jpg is not a whole image",
    ),
    "web page for an image": (
        lambda r: (r / "images/train/2008_000001.jpg").write_bytes(b"<!DOCTYPE html><html>Sign in</html>"),
        "images/train/2008_000001.jpg is not a whole image; it is a web page: download it again",
    ),
    "Git LFS pointer for a map": (
        lambda r: (r / PART / "train/2008_000001.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
        f"{PART}/train/2008_000001.png is not a whole PNG mask; it is a Git LFS pointer.*git lfs pull",
    ),
    "folder for an image": (
        lambda r: [(r / "images/train/2008_000001.jpg").unlink(), (r / "images/train/2008_000001.jpg").mkdir()],
        "images/train/2008_000001.jpg cannot be read: Is a directory",
    ),
    "file for a folder": (
        lambda r: [shutil.rmtree(r / PART / "val"), (r / PART / "val").touch()],
        f"PascalPart116/{PART}/val is a file; the release has this folder",
    ),
    "packed folder": (
        lambda r: [shutil.make_archive(r / OBJECT, "zip", r / OBJECT), shutil.rmtree(r / OBJECT)],
        f"{OBJECT}/train is missing; .* {OBJECT}.zip in it is a zip archive: unpack it",
    ),
    "folder for a file": (
        lambda r: [(r / "train_16shot.json").unlink(), (r / "train_16shot.json").mkdir()],
        "train_16shot.json is a folder; the release has this file",
    ),
    "name that is not UTF-8": (
        lambda r: [path.rename(path.with_stem("\udcff")) for path in r.glob("*/val/2010_000006.*")],
        r"name '\\udcff' of a file in validation is not UTF-8",
    ),
    "few-shot list is not JSON": (
        lambda r: (r / "train_16shot.json").write_text("[{"),
        "PascalPart116/train_16shot.json is not valid JSON",
    ),
    "few-shot list is not text": (
        lambda r: (r / "train_16shot.json").write_bytes(b"\xff\xfe\xfa"),
        "PascalPart116/train_16shot.json is not valid JSON",
    ),
    "few-shot list of other things": (
        lambda r: (r / "train_16shot.json").write_text('["2008_000001"]'),
        "Entry 0 of PascalPart116/train_16shot.json needs a 'file_name' of type str",
    ),
    "few-shot list matches nothing": (
        lambda r: (r / "train_16shot.json").write_text('[{"file_name": "images/val/2008_000001.jpg"}]'),
        "PascalPart116/train_16shot.json names no image of images/train",
    ),
    "empty few-shot list": (
        lambda r: (r / "train_16shot.json").write_text("[]"),
        "PascalPart116/train_16shot.json names no image of images/train",
    ),
}

TRAIN, VAL = "ade20k_instance_train.json", "ade20k_instance_val.json"
ADE_FAULTS = {
    "no instance file": (lambda r: (r / VAL).unlink(), f"ADE20KPart234/{VAL} is missing"),
    "instance file is not JSON": (
        lambda r: (r / VAL).write_text((r / VAL).read_text()[:-9]),
        f"ADE20KPart234/{VAL} is not valid JSON",
    ),
    "instance file is a list": (lambda r: (r / VAL).write_text("[]"), f"ADE20KPart234/{VAL} must be a JSON object"),
    "image without height": (
        lambda r: edit_json(r, VAL, lambda d: d["images"][1].pop("height")),
        rf"images\[1\] of ADE20KPart234/{VAL} needs a 'height' of type int",
    ),
    "annotation without segmentation": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].pop("segmentation")),
        rf"annotations\[0\] of ADE20KPart234/{VAL} needs a 'segmentation'",
    ),
    "wrong height": (
        lambda r: edit_json(r, VAL, lambda d: d["images"][0].update(height=91)),
        f"{VAL} says that ADE_val_00000001.jpg is 120 x 91 pixels, but .*ADE_val_00000001.jpg is 120 x 90",
    ),
    "id of 400 digits": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(category_id=10**400)),
        rf"Annotation 17 of .*{VAL} has the unknown category_id 10{{59}}\.\.\.0{{30}}; object ids",
    ),
    "size of 400 digits": (
        lambda r: edit_json(r, VAL, lambda d: d["images"][0].update(height=10**400)),
        f"{VAL} says that ADE_val_00000001.jpg is 120 x 10*\\.\\.\\.0* pixels",
    ),
    "box of 400 digits": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(bbox=[0, 0, 10**400, 1])),
        "Annotation 17 of .* has bbox .*must be four numbers",
    ),
    "true as id": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(category_id=True)),
        rf"annotations\[0\] of ADE20KPart234/{VAL} needs a 'category_id' of type int",
    ),
    "polygon of 400 digits": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(segmentation=[[10**400] * 6])),
        "A polygon of Annotation 17 of .* not a finite number",
    ),
    "name too long for a file": (
        lambda r: edit_json(r, VAL, lambda d: d["images"].append(d["images"][0] | {"id": 9, "file_name": "a" * 5000})),
        f"{VAL} lists 'a*\\.\\.\\.a*', which ADE20KPart234/images/validation lacks",
    ),
    "unknown category": (
        lambda r: edit_json(r, TRAIN, lambda d: d["annotations"][0].update(category_id=44)),
        rf"Annotation 1 of ADE20KPart234/{TRAIN} has the unknown category_id 44; object ids run from 0 to 43",
    ),
    "unknown image": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(image_id=99)),
        "Annotation 17 of .* belongs to image id 99, which is not listed",
    ),
    "annotation id twice": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(id=18)),
        f"{VAL} uses annotation id 18 more than once",
    ),
    "empty box": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(bbox=[])),
        r"Annotation 17 of .* has bbox \[\]",
    ),
    "ignored annotation": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(ignore=1)),
        "Annotation 17 of .* is marked with 'ignore'",
    ),
    "run lengths of another size": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][1]["segmentation"].update(size=[9, 9])),
        r"run lengths of Annotation 18 of .* are for size \[9, 9\], its image has \[90, 120\]",
    ),
    "broken run lengths": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][1]["segmentation"].update(counts="abc")),
        "run lengths of Annotation 18 of .* do not add up",
    ),
    "run lengths of nothing": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][1]["segmentation"].update(counts=None)),
        "run lengths of Annotation 18 of .* cannot be decoded",
    ),
    "segmentation is a number": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(segmentation=3)),
        "segmentation of Annotation 17 of .* is neither",
    ),
    "polygon of words": (
        lambda r: edit_json(r, VAL, lambda d: d["annotations"][0].update(segmentation=[["a"] * 6])),
        "A polygon of Annotation 17 of .* not a finite number",
    ),
    "listed image is missing": (
        lambda r: [path.unlink() for path in r.glob("*/validation/ADE_val_00000002.*")],
        f"{VAL} lists 'ADE_val_00000002.jpg', which ADE20KPart234/images/validation lacks",
    ),
    "8-bit map": (
        lambda r: write_mask(r / PART / "validation/ADE_val_00000001.png"),
        f"{PART}/validation/ADE_val_00000001.png has image mode L; a mask of this dataset has one channel of 16 bits",
    ),
    "part label out of range": (
        lambda r: write_mask(r / PART / "validation/ADE_val_00000001.png", dtype=np.uint16, value=234),
        rf"{PART}/validation/ADE_val_00000001.png holds the labels \[234\]; allowed are 0 to 233 and 65535",
    ),
    "image without map": (
        lambda r: (r / PART / "training/ADE_train_00000011.png").unlink(),
        "images/training/ADE_train_00000011.jpg has no mask",
    ),
    "map without image": (
        lambda r: write_mask(r / PART / "training/ADE_train_9.png", dtype=np.uint16),
        f"{PART}/training/ADE_train_9.png has no image",
    ),
    "few-shot list matches nothing": (
        lambda r: (r / "train_16shot.json").write_text('[{"file_name": "images/train/ADE_train_00000011.jpg"}]'),
        "names no image of images/training",
    ),
}


@pytest.mark.parametrize("fault", PASCAL_FAULTS)
def test_pascal(fault, pascal_root, tmp_path):
    spoil, message = PASCAL_FAULTS[fault]
    spoil(pascal_root)
    refused(PascalPart116, pascal_root, message, tmp_path)


@pytest.mark.parametrize("fault", ADE_FAULTS)
def test_ade(fault, ade_root, tmp_path):
    spoil, message = ADE_FAULTS[fault]
    spoil(ade_root)
    refused(ADE20KPart234, ade_root, message, tmp_path)


def refused(builder, root, message, tmp_path):
    """Preparing fails with the message and leaves nothing; checking lists the message among the problems."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DatasetError, match=message) as caught:
        write_repository(builder(data_dir=root), tmp_path / "out", progress=False)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    problems = check(root, RELEASES, progress=False).problems
    with pytest.raises(DatasetError, match=message):
        raise DatasetError("\n".join(problems))


def test_masks_of_another_size_are_not_decoded(pascal_root, tmp_path, monkeypatch):
    write_mask(pascal_root / PART / "val/2010_000001.png", (5000, 5000))
    monkeypatch.setattr("ovparts_hf.data.preparation.release.check_labels", lambda values, *_: check_size(values))
    refused(PascalPart116, pascal_root, "2010_000001.png is 5000 x 5000, but", tmp_path)


def check_size(values):
    assert values.size < 20_000


def test_check_lists_every_problem(pascal_root):
    for fault in ("image without object map", "part map of another size", "truncated image", "16-bit map"):
        PASCAL_FAULTS[fault][0](pascal_root)
    result = check(pascal_root, RELEASES, progress=False)
    assert not result.ok
    assert len(result.problems) == 4


def test_error_says_how_many_more_there_are(pascal_root, tmp_path):
    for image in (pascal_root / PART / "val").glob("[!.]*.png"):
        image.unlink()
    with pytest.raises(DatasetError, match="and 5 more problems; `ovparts check` lists them"):
        write_repository(PascalPart116(data_dir=pascal_root), tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("file", "listed"),
    [("train_16shot.json", "images/train/2008_999999.jpg"), ("train_16shot.json", "images/val/2010_000001.jpg")],
)
def test_partly_matching_few_shot_list_is_noted(file, listed, pascal_root):
    edit_json(pascal_root, file, lambda entries: entries.append({"file_name": listed}))
    result = check(pascal_root, RELEASES, progress=False)
    assert result.ok
    assert "train/2008_999999.jpg" in result.notes[0] or "val/2010_000001.jpg" in result.notes[0]


def test_unlisted_ade_images_are_left_out_with_a_note(ade_root, tmp_path):
    edit_json(ade_root, VAL, lambda d: d["images"].pop())
    edit_json(ade_root, VAL, lambda d: d.update(annotations=[a for a in d["annotations"] if a["image_id"] != 4]))
    result = check(ade_root, RELEASES, progress=False)
    assert result.ok
    assert "does not list 1 images" in result.notes[0]
    assert result.splits[1].found == 3


def test_missing_source(tmp_path):
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        PascalPart116(data_dir=tmp_path / "nowhere")
    with pytest.raises(TypeError, match="data_dir"):
        PascalPart116()


def test_folder_without_a_release(tmp_path):
    with pytest.raises(DatasetError, match="neither holds a folder PascalPart116"):
        PascalPart116(data_dir=tmp_path)
    assert "holds no known dataset" in check(tmp_path, RELEASES, progress=False).problems[0]
