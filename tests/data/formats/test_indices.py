"""From the values and colours of a mask to annotations."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ovparts_hf.data.formats.images import ImageBytes
from ovparts_hf.data.formats.indices import index_annotations
from ovparts_hf.data.formats.name_files import Meaning
from ovparts_hf.data.problems import Problems

from .writers import png

EAR, HEAD, DOG = ("dog", "ear"), ("dog", "head"), ("dog", None)
NO_LABEL = (0, 0xE0E0C0)


def found_in(pixels, meaning):
    """From each class to its pixels, and what is wrong."""
    problems = Problems()
    annotations, size = index_annotations(ImageBytes(png(pixels), "a.png"), meaning, problems)
    assert size == pixels.shape[:2]
    return {each.class_name: each.shape.mask(*size, each.name) for each in annotations}, problems


def channels(values):
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 0xFFFFFF).filter(lambda c: c not in NO_LABEL), min_size=4, max_size=4, unique=True),
    st.integers(0, 2**32 - 1),
)
def test_every_colour_means_its_class_and_nothing_else(colours, seed):
    ear, head, dog, unnamed = colours
    values = np.random.default_rng(seed).choice([*colours, *NO_LABEL], (6, 7))
    found, problems = found_in(channels(values), Meaning({ear: EAR, head: HEAD, dog: DOG}, "names", True))
    expected = {EAR: values == ear, HEAD: values == head, DOG: np.isin(values, [ear, head, dog])}
    present = {EAR: (values == ear).any(), HEAD: (values == head).any(), DOG: (values == dog).any()}
    assert set(found) == {name for name, is_there in present.items() if is_there}
    for name, mask in found.items():
        np.testing.assert_array_equal(mask, expected[name])
    message = f"a.png holds the colours [#{unnamed:06x}], which names does not name."
    assert problems == ([message] if (values == unnamed).any() else [])


def test_what_is_no_label_may_be_named():
    values = np.array([[0, 255, 7]], np.uint8)
    found, problems = found_in(values, Meaning({0: EAR, 255: HEAD, 7: None}, "names"))
    assert set(found) == {EAR, HEAD} and problems == []
    found, problems = found_in(values, Meaning({1: EAR}, "names"))
    assert found == {} and problems == ["a.png holds the values [7], which names does not name."]
    colours = np.array([[0, 0xE0E0C0]])
    found, problems = found_in(channels(colours), Meaning({0: EAR, 0xE0E0C0: HEAD}, "names", True))
    assert set(found) == {EAR, HEAD} and problems == []
