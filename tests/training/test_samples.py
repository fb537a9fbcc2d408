"""Pictures of progress: of different objects first, one for each evaluation, and nothing learned changes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ovparts_hf.data.records import Record
from ovparts_hf.training import train
from ovparts_hf.training.samples import choose_samples

from .test_setup import arguments
from .tiny import assert_same_weights


@given(st.lists(st.integers(0, 4)), st.integers(1, 8))
def test_objects_take_turns(objects: list[int], count: int) -> None:
    records = [Record("validation", row, object_id) for row, object_id in enumerate(objects)]
    chosen = choose_samples(records, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(records))
    numbers = [sum(record.object_id == each for record in chosen) for each in set(objects)]
    if numbers and len(records) > count:
        assert len({record.object_id for record in chosen}) == min(count, len(set(objects)))


def test_each_evaluation_leaves_a_picture_and_the_same_weights(
    pretrained: Path, pascal_folder: Path, tmp_path: Path
) -> None:
    options = {"steps": 3, "eval_every": 2}
    drawn = train(arguments(pascal_folder, pretrained, tmp_path / "drawn", sample_images=2, **options))
    plain = train(arguments(pascal_folder, pretrained, tmp_path / "plain", **options))
    assert sorted(path.name for path in (drawn / "samples").iterdir()) == ["step-00000002.jpg", "step-00000003.jpg"]
    with Image.open(drawn / "samples" / "step-00000003.jpg") as picture:
        assert picture.format == "JPEG" and picture.width > picture.height / 2
    assert not (plain / "samples").exists()
    assert_same_weights(drawn, plain)
    assert_same_weights(drawn, plain, name="best")
    again = arguments(pascal_folder, pretrained, tmp_path / "drawn", overwrite=True, steps=1)
    train(again)
    assert not (drawn / "samples").exists()
