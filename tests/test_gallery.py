import numpy as np
import pytest

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.gallery import build_galleries, contact_sheet
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg

from .models.clipseg.goldens import FOLDER, golden_config, golden_processor


@pytest.fixture(scope="module")
def dataset(pascal_folder):
    return PartDataset.load(pascal_folder)


@pytest.fixture(scope="module")
def galleries(dataset):
    model, _ = convert_clipseg(FOLDER / "checkpoint.pth", golden_config())
    return {
        task: build_galleries(model, golden_processor(), dataset, task, count=3) for task in ("zero_shot", "few_shot")
    }


def test_unseen_and_seen_objects_are_told_apart(galleries, dataset):
    unseen, seen = galleries["zero_shot"]
    taxonomy = dataset.taxonomy
    for gallery, expected in ((unseen, False), (seen, True)):
        assert gallery.items
        for item in gallery.items:
            name = item.caption.split(" (")[0]
            assert (name in taxonomy.seen_objects) == expected
    captions = [item.caption.split(" (")[0] for item in unseen.items]
    assert len(captions) == len(set(captions)) <= 3


def test_after_few_shot_training_everything_is_seen(galleries):
    assert [gallery.title for gallery in galleries["few_shot"]] == ["Seen objects"]


def test_answers_stay_inside_the_object_and_among_its_parts(galleries, dataset):
    taxonomy = dataset.taxonomy
    for gallery in galleries["zero_shot"]:
        for item in gallery.items:
            parts = taxonomy.parts_of(taxonomy.object_classes.index(item.caption.split(" (")[0]))
            answered = item.prediction != -1
            assert set(np.unique(item.prediction[answered])) <= set(parts)
            assert answered[item.truth != taxonomy.ignore_index].all()
            assert not answered.all()
            assert 0 <= item.iou <= 100


def test_contact_sheet_holds_the_first_examples(galleries):
    gallery = galleries["zero_shot"][1]
    one, two = contact_sheet(gallery, 1), contact_sheet(gallery, 2)
    assert two.height > one.height
    assert two.width >= one.width
