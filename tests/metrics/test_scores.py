"""Numbers of many test sets at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ovparts_hf.metrics.flavours import FLAVOURS
from ovparts_hf.metrics.scores import MEANS, ClassCounts, harmonic_mean, means

FORMULAS = {
    (flavour.name, pred_all): flavour.scoring(pred_all).formulas
    for flavour in FLAVOURS.values()
    for pred_all in (False, True)
    if not pred_all or flavour.pred_all
}
SEEN = np.array([True, False, True] * 4)


@pytest.mark.parametrize("mode", FORMULAS)
@settings(max_examples=25)
@given(st.data())
def test_together_as_alone_to_the_last_bit(mode, data):
    """Of 12 classes, or with a background, so that sums over other subsets round differently."""
    shape = (*data.draw(st.sampled_from([(4,), (2, 3), (0,)])), data.draw(st.sampled_from([12, 13])))
    pixels = hnp.arrays(np.int64, shape, elements=st.integers(0, 3) | st.integers(0, 10**6))
    hit, missed, wrong = (data.draw(pixels).astype(float) for _ in range(3))
    together = means(ClassCounts(hit, hit + missed, hit + wrong), FORMULAS[mode], SEEN)
    assert set(MEANS) < set(together)
    for position in np.ndindex(shape[:-1]):
        row = ClassCounts(*(counts[position] for counts in (hit, hit + missed, hit + wrong)))
        alone = means(row, FORMULAS[mode], SEEN)
        averaged = (100 * row.iou)[FORMULAS[mode].averaged(row)]
        np.testing.assert_array_equal(alone["mIoU"], averaged.mean() if len(averaged) else np.nan)
        for key, value in alone.items():
            assert np.shape(value) == () and together[key].shape == shape[:-1]
            np.testing.assert_array_equal(together[key][position], value)


def test_harmonic_mean():
    assert isinstance(harmonic_mean(20.0, 30.0), float) and harmonic_mean(20.0, 30.0) == 24
    assert np.isnan([harmonic_mean(0.0, 0.0), harmonic_mean(np.nan, 1.0), harmonic_mean(1.0, np.nan)]).all()
    np.testing.assert_array_equal(harmonic_mean(np.array([0, 0, 20.0]), np.array([0, 5.0, 30])), [np.nan, 0, 24])
