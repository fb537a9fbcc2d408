"""One image at a time."""

import pickle

import numpy as np
import pytest

from ovparts_hf.data.custom.classes import ClassIds
from ovparts_hf.data.custom.examination import Painter
from ovparts_hf.data.formats.base import Annotation, LabelledImage
from ovparts_hf.data.formats.images import ImageFile
from ovparts_hf.data.formats.shapes import Segmentation
from ovparts_hf.data.masks import decode_label_map
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.utils import images

from ..labelled import SIZE, picture, polygon

PAINTER = Painter(PartTaxonomy.from_dict({"dog": ["head"]}), {("dog", "head"): ClassIds(0, 0)})


def labelled(folder, suffix=".png", box=(2, 3, 10, 9), image_id="a", stated_size=None):
    path = folder / f"a{suffix}"
    if not path.exists():
        picture(0).save(path)
    annotation = Annotation("annotation 1 of a.json", ("dog", "head"), Segmentation.of(polygon(*box)))
    return LabelledImage(image_id, ImageFile(path, path.name), (annotation,), None, stated_size)


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".webp"])
def test_the_image_is_stored_untouched_under_its_own_suffix(suffix, tmp_path):
    image = labelled(tmp_path, suffix)
    row = pickle.loads(pickle.dumps(PAINTER)).row(pickle.loads(pickle.dumps(image)))
    assert row["image"] == {"bytes": (tmp_path / f"a{suffix}").read_bytes(), "path": f"a{suffix.lower()}"}
    expected = np.full(SIZE, 255)
    expected[3:9, 2:10] = 0
    np.testing.assert_array_equal(decode_label_map(row["part_map"]["bytes"]), expected)
    assert row["parts"] == [0]
    assert [instance["parts"] for instance in row["instances"]] == [[0]]


def test_what_is_found(tmp_path):
    found = PAINTER.examine(labelled(tmp_path))
    assert (found.problems, found.size, found.parts, dict(found.objects)) == ([], SIZE, (0,), {0: 1})
    other = PAINTER.examine(labelled(tmp_path, box=(2, 3, 10, 10)))
    assert other.image_digest == found.image_digest
    assert other.labels_digest != found.labels_digest


def test_faults_of_an_image(tmp_path, monkeypatch):
    def problems(**options):
        (problem,) = PAINTER.examine(labelled(tmp_path, **options)).problems
        return problem

    assert "NUL" in problems(image_id="a\0")
    assert "longer than" in problems(image_id="a" * 300)
    assert "for 10 x 9 pixels, but it is 64 x 48" in problems(stated_size=(9, 10))
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    assert "a.png has 64 x 48 pixels; allowed are 1 to 100" in problems()
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").mkdir()
    assert "a.png cannot be read" in problems()


def test_an_image_with_several_frames(tmp_path):
    frames = [picture(number) for number in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (problem,) = PAINTER.examine(labelled(tmp_path, ".gif")).problems
    assert "a.gif has several frames" in problem


def test_a_row_that_has_become_faulty(tmp_path):
    image = labelled(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="a.png"):
        PAINTER.row(image)
