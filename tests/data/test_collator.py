import numpy as np
import pytest
import torch

from ovparts_hf.data.collator import DataCollatorForPartSegmentation
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import ModelSource
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.utils.resize import resize_nearest


@pytest.fixture(params=["pascal", "ade"])
def prepared(request, pascal, ade):
    dataset = {"pascal": pascal, "ade": ade}[request.param]
    return dataset, list(dataset.splits["train"].select(range(3)))


@pytest.fixture(scope="module")
def processor():
    return ModelSource("toy").processor()


def test_labels_are_those_of_the_training_vocabulary(prepared, processor):
    dataset, rows = prepared
    collator = DataCollatorForPartSegmentation(processor, dataset.taxonomy)
    batch = collator(rows)
    assert set(batch) == {"pixel_values", "labels"}
    assert batch["pixel_values"].shape == (3, 3, 96, 96) and batch["labels"].shape == (3, 96, 96)
    names = np.array(collator.class_names)
    labelled = 0
    for row, labels in zip(rows, batch["labels"].numpy(), strict=True):
        part_map = resize_nearest(np.asarray(row["part_map"]), (96, 96), np.float32)
        for part_id in np.unique(part_map):
            found = np.unique(labels[part_map == part_id])
            if part_id in dataset.taxonomy.seen_part_ids:
                assert names[found].tolist() == [dataset.taxonomy.part_classes[part_id]]
                labelled += 1
            else:
                assert found.tolist() == [collator.target.ignore_index]
    assert labelled > 2


def test_object_masks_cover_the_objects(prepared):
    dataset, rows = prepared
    processor = ModelSource("toy-zsseg").processor()
    collator = DataCollatorForPartSegmentation(processor, dataset.taxonomy, with_object_masks=True, side=64)
    batch = collator(rows)
    assert batch["pixel_values"].shape == (3, 3, 64, 64)
    masks = batch["object_masks"]
    assert masks.dtype == torch.float32 and masks.shape == (3, 64, 64)
    assert set(masks.unique().tolist()) == {0, 1}
    labelled = batch["labels"] != collator.target.ignore_index
    assert labelled.any() and (masks[labelled] == 1).float().mean() > 0.9


def test_object_labels_agree_with_the_parts(prepared, processor):
    """Where a part is labelled, its object is, too; and objects are where no part is labelled."""
    dataset, rows = prepared
    batch = DataCollatorForPartSegmentation(processor, dataset.taxonomy, with_object_labels=True)(rows)
    labels, objects, target = batch["labels"], batch["object_labels"], dataset.taxonomy.seen()
    assert objects.dtype == torch.int64 and objects.shape == labels.shape
    object_of = torch.full((target.ignore_index + 1,), -1)
    object_of[: len(target.part_classes)] = torch.tensor(target.part_object_ids)
    labelled = labels != target.ignore_index
    assert labelled.any() and (object_of[objects] == object_of[labels])[labelled].float().mean() > 0.9
    assert (objects[~labelled] != target.ignore_index).any()


@pytest.mark.parametrize("name", ["toy", "toy-partclipseg", "toy-catseg", "toy-partcatseg", "toy-maskformer"])
def test_images_are_those_of_training(name, pascal):
    """Squares, prepared as augmented images are."""
    processor, row = ModelSource(name).processor(), pascal.splits["train"][0]
    collator = DataCollatorForPartSegmentation(processor, pascal.taxonomy)
    batch = collator([row])
    image = row["image"].convert("RGB").resize((collator.side, collator.side), 2)
    expected = processor(images=[image], augmented=True)
    assert set(batch) == {*expected, "labels"} and len(expected) > 0
    assert all(torch.equal(batch[name], expected[name]) for name in expected)


def test_all_classes_can_be_trained(pascal, processor):
    collator = DataCollatorForPartSegmentation(processor, pascal.taxonomy, pascal.taxonomy)
    row = pascal.splits["train"][0]
    expected = resize_nearest(np.asarray(row["part_map"]), (96, 96), np.float32)
    assert np.array_equal(collator([row])["labels"][0], expected)


def test_another_vocabulary_is_refused(pascal, processor):
    other = PartTaxonomy.from_dict({"object_classes": ["robot"], "part_classes": ["robot's antenna"]})
    with pytest.raises(ConfigurationError, match="none of the part classes"):
        DataCollatorForPartSegmentation(processor, pascal.taxonomy, other)
