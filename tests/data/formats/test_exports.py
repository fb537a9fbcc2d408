"""What `ovparts predict` exports for a labelling tool comes back from there unchanged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ovparts_hf.data.formats.base import Source, spelled
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import DatasetError
from ovparts_hf.inference.interchange.formats import FORMATS
from ovparts_hf.inference.result import PartSegmentation

CLASSES = ("dog's head", "dog's ear", "bus's door")
LABEL_MAPS = arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-1, 2))
READER_OF = {"coco": "coco", "cvat": "cvat", "labelstudio": "labelstudio"}


def export(folder, name, label_maps, accept=True):
    """Writes images and their predictions; with `accept` as someone leaves them who submits every prediction."""
    writer = FORMATS[name]()
    for number, label_map in enumerate(label_maps):
        image = Image.new("RGB", label_map.shape[::-1])
        image.save(folder / f"photo {number}.png")
        result = PartSegmentation(image, label_map, CLASSES, np.array([0.9, 0.5, 0.25], np.float32))
        writer.add(result, f"photo {number}.png", result.instances())
    for file_name, text in writer.files().items():
        if accept and file_name == "labelstudio.json":
            tasks = json.loads(text)
            for task in tasks:
                task["annotations"] = [{"result": task["predictions"][0]["result"]}]
            text = json.dumps(tasks)
        (folder / file_name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
@given(label_maps=st.lists(LABEL_MAPS, min_size=1, max_size=2))
def test_an_export_is_read_as_it_was_written(name, label_maps, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name)
    export(folder, name, label_maps)
    assert find_reader(Source(str(folder))).name == READER_OF[name]
    labels = READERS[READER_OF[name]].read(Source(str(folder)))
    assert not labels.problems
    found = {image.image.name: image for image in labels.images}
    for number, label_map in enumerate(label_maps):
        image = found[f"photo {number}.png"]
        painted = np.full(label_map.shape, -1)
        for annotation in image.annotations:
            mask = annotation.shape.mask(*label_map.shape, annotation.name)
            assert (painted[mask] == -1).all()
            painted[mask] = CLASSES.index(spelled(annotation.class_name))
        np.testing.assert_array_equal(painted, label_map)


def test_predictions_that_nobody_accepted_are_no_labels(tmp_path):
    export(tmp_path, "labelstudio", [np.zeros((4, 5), np.int16)], accept=False)
    with pytest.raises(DatasetError, match="predictions are no labels"):
        READERS["labelstudio"].read(Source(str(tmp_path)))
