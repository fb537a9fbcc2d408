"""Training examples: what each holds, and in which order they are read."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.data.augmentation import Compose, RandomCrop, RandomFlip, Sample, Transform
from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.data.training_set import EpochIndex, ResumableBatchSampler, TrainingSet
from ovparts_hf.errors import ConfigurationError, DatasetError
from ovparts_hf.taxonomy.tasks import get_task
from ovparts_hf.utils.resize import resize_nearest

ZERO_SHOT = get_task("zero_shot")
LABEL_SIZE = (145, 135)  # from 75 and 100 pixels, single and double precision pick different rows and columns


def pixels(images: list[Image.Image]) -> dict[str, torch.Tensor]:
    arrays = [np.asarray(image.resize((6, 6))) for image in images]
    return {"pixel_values": torch.from_numpy(np.stack(arrays)).float()}


def training_set(
    dataset: PartDataset, transform: Transform, seed: int = 0, classes_per_image: int | None = None
) -> TrainingSet:
    records = dataset.training_records(ZERO_SHOT)
    target = ZERO_SHOT.train_taxonomy(dataset.taxonomy)
    return TrainingSet(dataset, records, target, transform, pixels, LABEL_SIZE, seed, classes_per_image)


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_labels_are_those_of_the_training_vocabulary(name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    examples = training_set(dataset, Compose([]))
    names, ignore = examples.target.part_classes, dataset.taxonomy.ignore_index
    seen = set(names)
    for index in range(len(examples)):
        labels = examples[EpochIndex(0, index)]["labels"].numpy()
        original = resize_nearest(dataset.read(examples.records[index]).part_map, LABEL_SIZE, np.float32)
        assert labels.shape == LABEL_SIZE
        for before, after in set(zip(original.ravel().tolist(), labels.ravel().tolist())):
            part = None if before == ignore else dataset.taxonomy.part_classes[before]
            assert (names[after] == part) if part in seen else after == ignore


@pytest.mark.parametrize("count", [1, 20, 1000])
def test_scored_classes_are_those_of_the_labelled_objects_and_random_others(pascal: PartDataset, count: int) -> None:
    examples = training_set(pascal, Compose([]), classes_per_image=count)
    target = examples.target
    masks = []
    for index in range(len(examples)):
        example = examples[EpochIndex(2, index)]
        labelled = example["labels"].unique()
        objects = {target.object_of(int(label)) for label in labelled if label != target.ignore_index}
        own = {part for object_id in objects for part in target.parts_of(object_id)}
        scored = set(example["class_mask"].nonzero()[:, 0].tolist())
        assert own <= scored
        assert len(scored) == min(max(count, len(own)), len(target.part_classes))
        masks.append(example["class_mask"])
        assert torch.equal(examples[EpochIndex(2, index)]["class_mask"], masks[-1])
    changed = [not torch.equal(examples[EpochIndex(3, i)]["class_mask"], mask) for i, mask in enumerate(masks)]
    assert any(changed) == (count == 20)
    assert "class_mask" not in training_set(pascal, Compose([]))[EpochIndex(0, 0)]


@pytest.mark.parametrize("name", ["pascal", "ade"])
@pytest.mark.parametrize("transform", [Compose([]), Compose([RandomCrop(40, 30), RandomFlip()])])
def test_object_masks_go_with_the_labels(name: str, transform: Transform, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    records, target = dataset.training_records(ZERO_SHOT, "object"), ZERO_SHOT.train_taxonomy(dataset.taxonomy)
    examples = TrainingSet(dataset, records, target, transform, pixels, LABEL_SIZE, 0, with_object_masks=True)
    plain = TrainingSet(dataset, records, target, transform, pixels, LABEL_SIZE, 0)
    sizes = set()
    for index, record in enumerate(records):
        example = examples[EpochIndex(0, index)]
        mask, labels = example.pop("object_masks"), example["labels"]
        assert mask.dtype == torch.float32 and mask.shape == LABEL_SIZE
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        labelled = labels != target.ignore_index
        assert not (labelled & (mask == 0)).any()
        objects = {target.object_classes[target.object_of(int(label))] for label in labels[labelled].unique()}
        assert len(objects) == 1  # of another record, if no label is left in the crop
        if not transform.transforms:
            assert objects == {dataset.taxonomy.object_classes[record.object_id]}
        sizes.add(int(mask.sum()))
        if not transform.transforms:
            whole = dataset.read(record).object_map != dataset.taxonomy.ignore_index
            assert torch.equal(mask, torch.from_numpy(resize_nearest(whole, LABEL_SIZE, np.float32)).float())
        assert {"pixel_values", "labels"} == set(example)
        assert all(torch.equal(value, plain[EpochIndex(0, index)][key]) for key, value in example.items())
    assert len(sizes) > 1


@pytest.mark.parametrize("name", ["pascal", "ade"])
def test_object_labels_show_seen_objects_with_parts(name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    records, target = dataset.training_records(ZERO_SHOT), ZERO_SHOT.train_taxonomy(dataset.taxonomy)
    examples = TrainingSet(dataset, records, target, Compose([]), pixels, LABEL_SIZE, 0, with_object_labels=True)
    shown = set()
    for index, record in enumerate(records):
        labels = examples[EpochIndex(0, index)]["object_labels"].numpy()
        original = resize_nearest(dataset.read(record).object_map, LABEL_SIZE, np.float32)
        for before, after in set(zip(original.ravel().tolist(), labels.ravel().tolist())):
            found = None if before == dataset.taxonomy.ignore_index else dataset.taxonomy.object_classes[before]
            if after == target.ignore_index:
                assert found not in {target.object_classes[i] for i in target.part_object_ids}
            else:
                assert target.object_classes[target.object_of(after)] == found
                assert after == target.parts_of(target.object_of(after))[0]
                shown.add(found)
    assert shown
    assert "object_labels" not in training_set(dataset, Compose([]))[EpochIndex(0, 0)]


def test_augmentation_depends_on_seed_epoch_and_record_alone(pascal: PartDataset) -> None:
    transform = Compose([RandomCrop(40, 30), RandomFlip()])
    examples = training_set(pascal, transform)
    indices = [EpochIndex(epoch, index) for epoch in range(3) for index in (0, 3)]
    forward = {index: examples[index] for index in indices}
    again = training_set(pascal, transform)
    for index in reversed(indices):
        assert torch.equal(again[index]["pixel_values"], forward[index]["pixel_values"])
        assert torch.equal(again[index]["labels"], forward[index]["labels"])
    assert not torch.equal(forward[EpochIndex(0, 0)]["pixel_values"], forward[EpochIndex(1, 0)]["pixel_values"])
    other = training_set(pascal, transform, seed=1)[EpochIndex(0, 0)]
    assert not torch.equal(other["pixel_values"], forward[EpochIndex(0, 0)]["pixel_values"])


class Corner:
    """Cuts out the upper left quarter of an image, so that some lose all labels; notes how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        self.calls += 1
        generator.random()
        width, height = sample.image.width // 4, sample.image.height // 4
        return sample.change(sample.image.crop((0, 0, width, height)), lambda ids: ids[:height, :width])


def test_a_crop_without_labels_gives_way_to_another_record(pascal: PartDataset) -> None:
    corner = Corner()
    examples, again = training_set(pascal, corner), training_set(pascal, Corner())
    indices = [EpochIndex(epoch, index) for epoch in range(3) for index in range(len(examples))]
    drawn = {index: examples[index] for index in indices}
    assert corner.calls > len(indices), "every corner shows a part"
    assert drawn and all((example["labels"] != examples.target.ignore_index).any() for example in drawn.values())
    for index in reversed(indices):
        assert all(torch.equal(again[index][name], value) for name, value in drawn[index].items())


def test_crops_that_never_show_a_label_are_an_error(pascal: PartDataset) -> None:
    def hide(sample: Sample, generator: np.random.Generator) -> Sample:
        return sample.change(sample.image, lambda ids: np.full_like(ids, pascal.taxonomy.ignore_index))

    with pytest.raises(DatasetError, match="None of 1000 random crops shows one of the 74 part classes"):
        training_set(pascal, hide)[EpochIndex(0, 0)]


def test_nothing_to_train_on_is_refused(pascal: PartDataset) -> None:
    with pytest.raises(DatasetError, match="'pascal-part-116-seen'"):
        TrainingSet(pascal, [], pascal.taxonomy.seen(), Compose([]), pixels, (4, 4), 0)


@given(
    records=st.integers(1, 30), share=st.integers(1, 4), processes=st.integers(1, 3), micro_batches=st.integers(1, 3)
)
def test_division_does_not_change_the_batches(records: int, share: int, processes: int, micro_batches: int) -> None:
    batch, steps = share * micro_batches * processes, 6
    whole = list(ResumableBatchSampler(records, batch, steps, seed=7))
    divided = [
        ResumableBatchSampler(records, batch, steps, 7, micro_batch_size=share, process=p, num_processes=processes)
        for p in range(processes)
    ]
    assert len(divided) == processes
    assert all(len(list(order)) == len(order) == steps * micro_batches for order in divided)
    assert all(order.micro_batches_per_step == micro_batches for order in divided)
    for step, expected in enumerate(whole):
        found = [list(order)[step * micro_batches : (step + 1) * micro_batches] for order in divided]
        assert list(chain.from_iterable(chain.from_iterable(found))) == expected


@given(records=st.integers(1, 20), batch=st.integers(1, 9), seed=st.integers(0, 5))
def test_every_epoch_uses_each_record_once(records: int, batch: int, seed: int) -> None:
    walk = list(chain.from_iterable(ResumableBatchSampler(records, batch, 20, seed)))
    assert [index.epoch for index in walk] == [position // records for position in range(len(walk))]
    full = len(walk) // records
    counts = Counter(walk[: full * records])
    assert set(counts.values()) <= {1}
    assert len(counts) == full * records


def test_epochs_and_seeds_differ() -> None:
    first, second = (list(chain.from_iterable(ResumableBatchSampler(50, 50, 2, seed))) for seed in (0, 1))
    orders = [
        [index.index for index in walk[part]] for walk in (first, second) for part in (slice(50), slice(50, None))
    ]
    assert len(orders) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


@given(start=st.integers(0, 6))
def test_later_start_skips_whole_steps(start: int) -> None:
    assert (
        list(ResumableBatchSampler(5, 4, 6, 0, 2, start=start))
        == list(ResumableBatchSampler(5, 4, 6, 0, 2))[2 * start :]
    )


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "multiple"), [(8, 3, 1, 3), (8, None, 3, 3), (1, None, 2, 2), (6, 2, 2, 4)]
)
def test_uneven_division_is_refused(batch: int, micro: int | None, processes: int, multiple: int) -> None:
    with pytest.raises(ConfigurationError, match=f"must be a multiple of {multiple}"):
        ResumableBatchSampler(10, batch, 5, 0, micro, num_processes=processes)


def test_the_original_object_map_empties_masks_of_objects_whose_number_is_no_seen_part(pascal: PartDataset) -> None:
    """On Pascal-Part-116 object ids 0 to 10 are ids of seen parts, those of dog (11) to tvmonitor (19) are not."""
    records, target = pascal.training_records(ZERO_SHOT, "object"), ZERO_SHOT.train_taxonomy(pascal.taxonomy)
    options = dict(label_size=LABEL_SIZE, seed=0, with_object_masks=True)
    correct = TrainingSet(pascal, records, target, Compose([]), pixels, **options)
    original = TrainingSet(pascal, records, target, Compose([]), pixels, **options, object_map="ov_parts")
    ids = set()
    for index, record in enumerate(records):
        right, wrong = (examples[EpochIndex(0, index)]["object_masks"] for examples in (correct, original))
        assert right.any()
        assert torch.equal(wrong, right if record.object_id <= 10 else torch.zeros_like(right))
        ids.add(record.object_id <= 10)
    assert ids == {True, False}
