import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.decoding import check_decoding, decode_classes
from ovparts_hf.models.post_processing import best_class


@pytest.fixture
def rankseg(monkeypatch):
    """A module in the place of rankseg, with its interface; it takes the second best class."""
    module = ModuleType("rankseg")
    module.calls = []

    class RankSEG:
        def __init__(self, **options):
            self.options = options

        def predict(self, probs):
            module.calls.append((self.options, probs))
            return probs.argsort(dim=1, descending=True)[:, 1]

    module.RankSEG = RankSEG
    monkeypatch.setitem(sys.modules, "rankseg", module)
    return module


SCORES = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
IDS = [7, 2, -1]


def test_rankseg_gets_probabilities_and_answers_with_ids(rankseg):
    found = decode_classes(SCORES, IDS, "rankseg")
    assert torch.equal(found, torch.tensor(IDS)[SCORES.argsort(dim=0, descending=True)[1]])
    [(options, probabilities)] = rankseg.calls
    assert options == {"metric": "IoU", "output_mode": "multiclass", "solver": "RMA"}
    assert probabilities.shape == (1, 3, 20) and probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 20))
    torch.testing.assert_close(probabilities[0].view(3, 4, 5), SCORES / SCORES.sum(0))


def test_only_pixels_inside_are_looked_at(rankseg):
    inside = np.zeros((4, 5), dtype=bool)
    inside[1, 2:] = True
    found, best = decode_classes(SCORES, IDS, "rankseg", inside), best_class(SCORES, IDS)
    assert torch.equal(found[~torch.from_numpy(inside)], best[~torch.from_numpy(inside)])
    assert (found[1, 2:] != best[1, 2:]).all()
    assert rankseg.calls[0][1].shape == (1, 3, 3)


def test_where_there_is_no_choice_rankseg_is_not_asked(rankseg):
    for scores, ids, inside in (
        (SCORES[:1], [4], None),
        (SCORES[:0], [], None),
        (SCORES, IDS, np.zeros((4, 5), dtype=bool)),
    ):
        assert torch.equal(decode_classes(scores, ids, "rankseg", inside), best_class(scores, ids))
    assert rankseg.calls == []


def test_scores_of_nothing_are_no_division_by_zero(rankseg):
    decode_classes(torch.zeros(2, 2, 2), [0, 1], "rankseg")
    assert torch.isfinite(rankseg.calls[0][1]).all()


def test_argmax_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "rankseg", None)
    assert torch.equal(decode_classes(SCORES, IDS), best_class(SCORES, IDS))


def test_bad_decodings_are_refused(monkeypatch):
    with pytest.raises(ConfigurationError, match=r"decode is 'best'; choose one of \['argmax', 'rankseg'\]"):
        check_decoding("best")
    monkeypatch.setitem(sys.modules, "rankseg", None)
    with pytest.raises(ConfigurationError, match=r'not installed: pip install "ovparts_hf\[rankseg\]"'):
        check_decoding("rankseg")
    check_decoding("argmax")
