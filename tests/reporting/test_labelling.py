"""Which images to label next: the order, the lists, the sheet and the files for labelling tools."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from ovparts_hf import PartSegmenter
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.ranking import Ranking
from ovparts_hf.inference.result import PartSegmentation
from ovparts_hf.reporting.labelling import draw_sheet, images_to_label, judge, suggest_labelling
from ovparts_hf.toy.world import draw

CLASSES = ("dog's head", "dog's ear", "cat's tail")


def result(ids, scores):
    """Of the (2, h, w) best classes of each pixel and their scores."""
    ids, scores = np.array(ids, dtype=np.int16), np.array(scores, dtype=np.float32)
    image = Image.new("RGB", ids.shape[:0:-1])
    areas = np.bincount(ids[0].ravel() + 1, minlength=4)[1:]
    return PartSegmentation(image, ids[0], CLASSES, (areas > 0).astype(np.float32), ranking=Ranking(ids, scores))


def test_a_sure_model_has_nothing_to_learn():
    sure = judge("a.png", result([[[0, 1]], [[1, -1]]], [[[1.0, 1.0]], [[0.0, 0.0]]]))
    assert (sure.uncertainty, sure.confusion, sure.confused, sure.found, sure.score) == (0, 0, None, 2, 0)


def test_parts_that_compete_are_named():
    ids, scores = [[[0, 1, 0, -1]], [[1, 0, 2, -1]]], [[[0.8, 0.6, 0.9, 1.0]], [[0.6, 0.4, 0.1, 0.0]]]
    unsure = judge("b.png", result(ids, scores))
    assert unsure.confused == ("dog's head", "dog's ear")
    assert unsure.confusion == pytest.approx(2 / 3, abs=1e-4)
    assert unsure.uncertainty == pytest.approx(1 - (0.2 + 0.2 + 0.8) / 3, abs=1e-4)
    assert unsure.score == pytest.approx((unsure.uncertainty + unsure.confusion) / 2)


def test_a_part_that_is_nearly_found_is_uncertain_but_not_confused():
    missed = judge("c.png", result([[[-1, -1]], [[2, 2]]], [[[0.5, 1.0]], [[0.4, 0.1]]]))
    assert missed.uncertainty == pytest.approx(0.9) and missed.confusion == 0 and missed.found == 0


def test_an_image_without_any_part_is_as_uncertain_as_can_be():
    assert judge("d.png", result([[[-1]], [[0]]], [[[1.0]], [[0.0]]])).uncertainty == 1


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "unlabelled"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(["one.png", "two.png", "more/three.png"]):
        draw("unlabelled", number).image.save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_writes_what_it_promises(segmenter, folder, tmp_path, caplog):
    out = folder / "next"  # in the folder itself: it is not looked at
    tools = ["coco", "cvat", "labelstudio"]
    found = suggest_labelling(segmenter, folder, out, count=2, formats=tools, progress=False)
    assert sorted(each.image for each in found) == ["more/three.png", "one.png", "two.png"]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert "broken.png is left out" in caplog.text
    rows = json.loads((out / "images.json").read_text())
    assert [row["image"] for row in rows] == [each.image for each in found] and [row["rank"] for row in rows] == [
        1,
        2,
        3,
    ]
    with (out / "images.csv").open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [each.image for each in found]
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 600 and sheet.height > 200
    labels = {path.stem: path.read_text() for path in out.iterdir() if path.stem in tools}
    assert labels.keys() == set(tools)
    for text in labels.values():
        assert found[0].image in text.replace("%2F", "/") and found[2].image not in text
    again = suggest_labelling(segmenter, folder, out, count=2, formats=["cvat"], overwrite=True, progress=False)
    assert again == found
    assert [path.name for path in out.iterdir() if path.stem in tools] == ["cvat.xml"]


def test_pre_labels_are_what_the_model_sees(segmenter, folder, tmp_path):
    [best, *_] = suggest_labelling(segmenter, folder, tmp_path / "next", count=1, progress=False)
    dataset = json.loads((tmp_path / "next" / "coco.json").read_text())
    assert [image["file_name"] for image in dataset["images"]] == [best.image]
    seen = segmenter(folder / best.image)
    area = sum(int(coco_mask.area(each["segmentation"])) for each in dataset["annotations"])
    assert area == (seen.label_map >= 0).sum() > 0


def test_what_cannot_be_is_refused_before_work(segmenter, folder, tmp_path):
    broken = SimpleNamespace()  # any use of it fails
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    out = tmp_path / "next"
    for wrong, message in [
        ((tmp_path / "nowhere", out), "is not a folder"),
        ((tmp_path / "empty", out), "There is no image in"),
        ((folder, tmp_path / "full"), "holds other files"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            suggest_labelling(broken, *wrong)
    with pytest.raises(ConfigurationError, match="count is 0"):
        suggest_labelling(broken, folder, out, count=0)
    with pytest.raises(ConfigurationError, match=r"formats holds \['voc'\]; choose some of \['coco'"):
        suggest_labelling(broken, folder, out, formats=["voc"])
    suggest_labelling(segmenter, folder, out, count=1, progress=False)
    with pytest.raises(ConfigurationError, match="holds an earlier suggestion; add --overwrite"):
        suggest_labelling(broken, folder, out)


def test_a_folder_of_damaged_images_is_refused(segmenter, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ConfigurationError, match="None of the 1 images in .* can be read"):
        suggest_labelling(segmenter, tmp_path, tmp_path / "next", progress=False)
    assert images_to_label(tmp_path) == [tmp_path / "a.png"] and not (tmp_path / "next").exists()


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_sheet_has_a_place_for_every_image(count):
    red = Image.new("RGB", (20, 60), "red")
    sheet = np.asarray(draw_sheet([(red, ("name",))] * count))
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == count * 107 * 320


def test_images_of_a_row_stand_on_one_line_and_rows_are_as_high_as_their_images():
    wide, square = Image.new("RGB", (320, 80), "red"), Image.new("RGB", (320, 320), "red")
    rows = np.asarray(draw_sheet([(wide, ("name",))] * 2)).shape[0], np.asarray(draw_sheet([(square, ("a",))])).shape[0]
    assert rows[1] - rows[0] == 240
    is_red = (np.asarray(draw_sheet([(wide, ("name",)), (square, ("name",))])) == (255, 0, 0)).all(axis=2)
    bottoms = [np.flatnonzero(half.any(axis=1))[-1] for half in np.split(is_red, [330], axis=1)]
    assert bottoms[0] == bottoms[1]
