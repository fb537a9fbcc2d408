import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.tta import TestTimeAugmentation, load_crf


class Field:
    """Stands for pydensecrf's field: checks what it is given, and prefers the last class."""

    def __init__(self, width, height, count):
        self.shape = (count, height, width)

    def setUnaryEnergy(self, energy):
        assert energy.dtype == np.float32 and energy.flags["C_CONTIGUOUS"] and np.isfinite(energy).all()
        assert energy.shape == (self.shape[0], self.shape[1] * self.shape[2])
        np.testing.assert_allclose(np.exp(-energy).sum(0), 1, rtol=1e-5)
        self.energy = energy.copy()

    def addPairwiseGaussian(self, sxy, compat):
        assert (sxy, compat) == ((3, 3), 3)

    def addPairwiseBilateral(self, sxy, srgb, rgbim, compat):
        assert (sxy, srgb, compat) == ((80, 80), (13, 13, 13), 10)
        assert rgbim.dtype == np.uint8 and rgbim.shape == (*self.shape[1:], 3) and rgbim.flags["C_CONTIGUOUS"]

    def inference(self, steps):
        assert steps == 5
        answer = np.exp(-self.energy)
        answer[-1] += 1
        return answer.tolist()


@pytest.fixture
def fake(monkeypatch):
    package, module = ModuleType("pydensecrf"), ModuleType("pydensecrf.densecrf")
    module.DenseCRF2D = Field
    monkeypatch.setitem(sys.modules, "pydensecrf", package)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", module)


IMAGE = Image.new("RGB", (5, 3), "red")


def test_scores_become_energies_and_come_back(fake):
    scores = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0))
    scores[:, 0, 0] = 0
    refined = TestTimeAugmentation(crf=True).refine(scores, IMAGE)
    assert refined.shape == scores.shape and refined.dtype == torch.float32
    torch.testing.assert_close(refined[0, 1:], (scores / scores.sum(0))[0, 1:])
    assert (refined.argmax(0) == 1).all()


def test_one_candidate_needs_no_field(fake):
    scores = torch.rand(1, 3, 5)
    assert TestTimeAugmentation(crf=True).refine(scores, IMAGE) is scores


def test_off_by_default():
    scores = torch.rand(2, 3, 5)
    assert TestTimeAugmentation().refine(scores, IMAGE) is scores


def test_a_missing_module_is_said_before_work_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(ConfigurationError, match=r"not installed: pip install \"ovparts_hf\[crf\]\""):
        TestTimeAugmentation(crf=True)
    with pytest.raises(ConfigurationError, match="needs pydensecrf2"):
        load_crf()
