import torch

from ovparts_hf.models.partcatseg.aggregator import LevelScores, leave_out_others
from ovparts_hf.models.partcatseg.vocabulary import Vocabulary


def test_names_that_only_classes_left_out_have_are_left_out():
    """Classes a to d: parts 0, 1, 0, 2; objects 0, 0, 1, 1. Of c and "none" remain part 0, object 1 and "none"."""
    part_ids, object_ids = torch.tensor([0, 1, 0, 2, 3]), torch.tensor([0, 0, 1, 1, 2])
    vocabulary = Vocabulary(torch.zeros(5, 1, 2), torch.zeros(6, 1, 2), part_ids, object_ids, 3, None)
    levels = LevelScores(torch.ones(2, 4, 4), torch.ones(6, 4, 4), torch.ones(5, 9), torch.ones(3, 9))
    found = leave_out_others(levels, vocabulary, torch.tensor([2, 4]))
    remaining = [each.isfinite().flatten(1).all(1).tolist() for each in found]
    assert remaining[0] == remaining[2] == [False, False, True, False, True]
    assert remaining[1] == [True, False, False, False, True, True]
    assert remaining[3] == [False, True, True]
    everything = leave_out_others(levels._replace(classes=torch.ones(5, 4, 4)), vocabulary, torch.arange(5))
    assert all(each.isfinite().all() for each in everything)
