"""What `ovparts predict --format coco` writes comes back unchanged."""

import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.formats.base import Source
from ovparts_hf.inference.interchange.formats import FORMATS
from ovparts_hf.inference.result import PartSegmentation

from ..labelled import PARTS, SIZE, picture


def results(count):
    """Random label maps with holes, single pixels and pixels at all borders."""
    generator = np.random.default_rng(0)
    for number in range(count):
        small = generator.integers(-1, len(PARTS), (SIZE[0] // 4, SIZE[1] // 4)).astype(np.int16)
        label_map = np.kron(small, np.ones((4, 4), np.int16))
        label_map[generator.random(SIZE) < 0.05] = -1
        yield PartSegmentation(picture(number), label_map, PARTS, np.full(len(PARTS), 0.5, np.float32))


@pytest.mark.parametrize("grouping", ["component", "object", "class"])
def test_coco_comes_back(grouping, tmp_path):
    file, expected = FORMATS["coco"](), {}
    for number, result in enumerate(results(4)):
        instances = result.instances(by=grouping)
        file.add(result, f"photos/{number}.png", instances)
        expected[str(number)] = result, instances
        (tmp_path / "photos").mkdir(exist_ok=True)
        result.image.save(tmp_path / "photos" / f"{number}.png")
    for name, text in file.files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = survey(Source(str(tmp_path)), "mine", progress=False)
    assert found.problems == []
    assert found.taxonomy.part_classes == PARTS
    assert sum(found.overlaps.values()) == 0
    for image in found.images:
        result, instances = expected[image.image_id]
        _, part_map = found.painter.preview(image)
        np.testing.assert_array_equal(np.where(part_map == 255, -1, part_map.astype(int)), result.label_map)
        objects = {instance.object_id for instance in instances}
        stored = found.painter.row(image)["instances"]
        assert len(stored) == (2 if objects == {None} else len(objects))


def test_free_text_comes_back_as_an_object(tmp_path):
    label_map = np.zeros(SIZE, np.int16)
    label_map[:10] = 1
    classes = ("dog's head", "a red door")
    result = PartSegmentation(Image.new("RGB", SIZE[::-1]), label_map, classes, np.ones(2, np.float32))
    file = FORMATS["coco"]()
    file.add(result, "a.png", result.instances())
    result.image.save(tmp_path / "a.png")
    (tmp_path / "coco.json").write_text(file.files()["coco.json"], encoding="utf-8")
    assert {c["name"] for c in json.loads(file.files()["coco.json"])["categories"]} == set(classes)
    found = survey(Source(str(tmp_path)), "mine", progress=False)
    assert found.taxonomy.part_classes == ("dog's head",)
    assert found.taxonomy.object_classes == ("dog", "a red door")
