import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.part_object import NO_OBJECT, PartObjectNames, level_losses, level_targets
from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116

CLASSES = ("dog's head", "cat's tail", "dog's tail", "shelf's shelf", "a red door", "dog")
PARTS, OBJECTS = torch.tensor([0, 1, 0]), torch.tensor([1, 1, 0])  # of three classes


def test_names_are_sorted_and_each_occurs_once():
    found = PartObjectNames.of(CLASSES)
    assert found.part_names == ("head", "shelf", "tail")
    assert found.object_names == ("cat", "dog", "shelf")
    assert found.other_names == ("a red door",)
    assert found.part_ids == (0, 2, 2, 1, 6, 4)
    assert found.object_ids == (4, 3, 4, 5, NO_OBJECT, NO_OBJECT)


@given(st.permutations(range(len(CLASSES))), st.integers(1, len(CLASSES)))
def test_every_class_is_made_of_its_names_in_any_order(order, count):
    classes = [CLASSES[i] for i in order[:count]]
    found = PartObjectNames.of(classes)
    assert len(set(found.ids().flatten().tolist()) - {NO_OBJECT}) == len(found.names)
    for name, (part, of_object) in zip(classes, found.ids().tolist(), strict=True):
        whole = found.names[part]
        assert name == (whole if of_object == NO_OBJECT else f"{found.names[of_object]}'s {whole}")


@pytest.mark.parametrize(
    ("taxonomy", "all_names", "seen_names"),
    [(PASCAL_PART_116, (42, 16), (41, 11)), (ADE20K_PART_234, (85, 44), (83, 33))],
    ids=["pascal", "ade"],
)
def test_the_benchmarks_have_as_many_names_as_the_papers_say(taxonomy, all_names, seen_names):
    for view, counts in ((taxonomy, all_names), (taxonomy.seen(), seen_names)):
        found = PartObjectNames.of(view.part_classes)
        assert (len(found.part_names), len(found.object_names)) == counts
        assert not found.other_names


def test_targets_of_the_three_levels():
    labels = torch.tensor([[[0, 1, 2, 255, 255, -7]]])
    objects = torch.tensor([[[1, 0, 2, 0, 255, 255]]])
    targets = level_targets(labels, objects, PARTS, OBJECTS, (1, 6))
    assert targets.classes.tolist() == [[[0, 1, 2, -1, -1, -1]]]
    assert targets.parts.tolist() == [[[0, 1, 0, -1, -1, -1]]]
    assert targets.objects.tolist() == [[[1, 1, 0, 1, -1, -1]]]
    alone = level_targets(labels, None, PARTS, OBJECTS, (1, 6))
    assert alone.objects.tolist() == [[[1, 1, 0, -1, -1, -1]]]


def test_a_class_without_an_object_shows_none():
    targets = level_targets(torch.tensor([[[0, 1]]]), None, torch.tensor([0, 1]), torch.tensor([0, -1]), (1, 2))
    assert targets.parts.tolist() == [[[0, 1]]] and targets.objects.tolist() == [[[0, -1]]]


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4)])
def test_labels_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ConfigurationError, match="one label map for each image"):
        level_targets(torch.zeros(shape), None, PARTS, OBJECTS, (4, 4))


def test_object_labels_must_fit_the_labels():
    with pytest.raises(ConfigurationError, match=r"object_labels \[2, 4, 4\]"):
        level_targets(torch.zeros(1, 4, 4), torch.zeros(2, 4, 4), PARTS, OBJECTS, (4, 4))


def random_case(labels, objects):
    generator = torch.Generator().manual_seed(0)
    size = labels.shape[-2:]
    logits = [torch.randn(1, count, *size, generator=generator, requires_grad=True) for count in (4, 2, 3)]
    return logits, level_targets(labels, objects, PARTS, OBJECTS, size)


def test_losses_are_means_over_their_pixels():
    """Pixel by pixel: part, part, object without part, background."""
    labels, objects = torch.tensor([[[0, 2], [255, 255]]]), torch.tensor([[[1, 2], [0, 255]]])
    (classes, parts, of_objects), targets = random_case(labels, objects)
    losses = level_losses(classes, parts, of_objects, targets, none_weight=0.05)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.05])

    def bce(logits, pixels, expected, weight):
        scores = torch.stack([logits[0, :, y, x] for y, x in pixels])
        return F.binary_cross_entropy_with_logits(scores, torch.tensor(expected), weight=weight)

    on_parts = bce(classes, [(0, 0), (0, 1)], [[1.0, 0, 0, 0], [0, 0, 1.0, 0]], weight)
    torch.testing.assert_close(losses.classes_on_parts, on_parts)
    torch.testing.assert_close(losses.classes_on_background, bce(classes, [(1, 1)], [[0, 0, 0, 1.0]], weight))
    torch.testing.assert_close(losses.parts, bce(parts, [(0, 0), (0, 1)], [[1.0, 0], [1.0, 0]], weight[:2]))
    everywhere = [(0, 0), (0, 1), (1, 0), (1, 1)]
    expected = [[0, 1.0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    torch.testing.assert_close(losses.objects, bce(of_objects, everywhere, expected, weight[1:]))


@pytest.mark.parametrize("skip", [True, False])
def test_losses_without_parts_objects_or_background(skip):
    ignored, dog = torch.full((1, 2, 2), 255), torch.zeros(1, 2, 2, dtype=torch.long)
    logits, nothing = random_case(ignored, ignored)
    losses = level_losses(*logits, nothing, 0.05, skip_empty_background=skip)
    assert losses[:3] == (0, 0, 0) and losses.objects > 0
    logits, full = random_case(dog, dog)
    losses = level_losses(*logits, full, 0.05, skip_empty_background=skip)
    assert losses.classes_on_parts > 0 and losses.parts > 0
    assert losses.classes_on_background == 0 if skip else losses.classes_on_background.isnan()


def test_classes_that_were_left_out_do_not_weigh():
    labels = torch.tensor([[[0, 255]]])
    (classes, parts, objects), targets = random_case(labels, labels)
    with torch.no_grad():
        classes[:, 1] = -torch.inf
    loss = sum(level_losses(classes, parts, objects, targets, 0.05))
    loss.backward()
    assert loss.isfinite() and classes.grad.isfinite().all()
    assert (classes.grad[:, 1] == 0).all()
