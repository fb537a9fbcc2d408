import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ovparts_hf.models.partcatseg import vocabulary as module
from ovparts_hf.models.partcatseg.vocabulary import LEVELS, Vocabulary, level_names

TEMPLATES = 2


def features_of(pairs):
    """Random features (classes, 3 * templates, 4) of (part, object) numbers: equal numbers have equal features."""
    generator = torch.Generator().manual_seed(0)
    of_parts, of_objects = torch.randn(2, 10, TEMPLATES, 4, generator=generator)
    own = torch.randn(len(pairs), TEMPLATES, 4, generator=generator)
    rows = [torch.cat([row, of_parts[part], of_objects[thing]]) for row, (part, thing) in zip(own, pairs)]
    return torch.stack(rows), of_parts, of_objects


PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_each_name_is_there_once_in_the_order_of_the_classes(pairs):
    features, of_parts, of_objects = features_of(pairs)
    none = torch.full((1, TEMPLATES, 4), 7.0)
    found = Vocabulary.of(features, none)
    parts, objects = (list(dict.fromkeys(numbers)) for numbers in zip(*pairs))
    assert found.num_parts == len(parts) and len(found) == len(pairs) + 1
    assert torch.equal(found.names, torch.cat([of_parts[parts], of_objects[objects], none]))
    assert found.part_ids.tolist() == [parts.index(part) for part, _ in pairs] + [len(parts)]
    assert found.object_ids.tolist() == [objects.index(thing) for _, thing in pairs] + [len(objects)]
    assert torch.equal(found.classes, torch.cat([features[:, :TEMPLATES], none]))
    assert found.weights is None


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_without_grouping_the_weights_of_a_name_add_up_to_one(pairs):
    features, *_ = features_of(pairs)
    found = Vocabulary.of(features, torch.zeros(1, TEMPLATES, 4), static=True)
    count = len(pairs)
    assert len(found.names) == len(found.weights) == 2 * count + 1
    for numbers, weights in zip(zip(*pairs), (found.weights[:count], found.weights[count:-1])):
        for number in set(numbers):
            total = sum(weight for own, weight in zip(numbers, weights.tolist()) if own == number)
            assert total == pytest.approx(1)


def test_the_groups_of_a_vocabulary_are_found_once_and_forgotten_with_it(monkeypatch):
    calls = []
    group = module._group
    monkeypatch.setattr(module, "_group", lambda features: calls.append(1) or group(features))
    features, *_ = features_of([(0, 0), (1, 0)])
    none, before = torch.zeros(1, TEMPLATES, 4), len(module._known)
    for _ in range(3):
        Vocabulary.of(features, none)
    assert len(calls) == 2 and len(module._known) == before + 1
    features[1] = features[0]
    assert Vocabulary.of(features, none).num_parts == 1
    assert len(calls) == 4
    with torch.inference_mode():
        assert Vocabulary.of(features.clone(), none).num_parts == 1
    del features
    gc.collect()
    assert len(module._known) == before


def test_the_names_of_a_class():
    assert level_names("dog's ear") == ("dog's ear", "ear", "dog")
    assert level_names("men\u2019s shoe's lace") == ("men\u2019s shoe's lace", "lace", "men's shoe")
    assert level_names("a wheel") == ("a wheel",) * LEVELS
    assert level_names("'s ear") == ("'s ear",) * LEVELS
