"""Numbers and lists in sentences."""

from ovparts_hf.data.custom.words import counted, listed


def test_counts_and_lists():
    assert [counted(number, "image") for number in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed([str(number) for number in range(1025)], quote=False).endswith("18, 19 and 1,005 more")
