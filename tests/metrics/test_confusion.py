import numpy as np
import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.metrics import ImageCounts, PartSegmentationMetric

NAMES = ["cat's ear", "cat's tail", "dog's ear"]


def counted(records, seed=0):
    generator = np.random.default_rng(seed)
    metric, images = PartSegmentationMetric(NAMES, [0, 1], 255), ImageCounts(3)
    for n in range(records):
        prediction, reference = generator.integers(-1, 3, (5, 7)), generator.integers(0, 3, (5, 7))
        images.add(f"image {n // 2}", metric.update(prediction, reference))
    return metric, images


def test_total_is_what_the_metric_counted():
    metric, images = counted(5)
    np.testing.assert_array_equal(images.total(), metric.confusion_matrix)
    np.testing.assert_array_equal(sum(images.matrices()), metric.confusion_matrix)
    assert images.image_ids == ["image 0", "image 0", "image 1", "image 1", "image 2"]


@pytest.mark.parametrize("records", [0, 1, 4])
def test_file_round_trip(tmp_path, records):
    _, images = counted(records)
    path = tmp_path / "new" / "image_counts.npz"
    images.save(path)
    read = ImageCounts.load(path)
    assert read.image_ids == images.image_ids and len(read) == records
    np.testing.assert_array_equal(list(read.matrices()), list(images.matrices()))
    assert list(path.parent.iterdir()) == [path]


def test_merging_appends():
    (_, first), (_, second) = counted(2), counted(3, seed=1)
    total = first.total() + second.total()
    first.merge(second)
    assert len(first) == 5
    np.testing.assert_array_equal(first.total(), total)
    with pytest.raises(ConfigurationError, match="over 4 classes cannot be merged into counts over 3"):
        first.merge(ImageCounts(4))


def test_size_depends_on_what_occurs_not_on_pixels(tmp_path):
    metric, images = PartSegmentationMetric([f"a's {i}" for i in range(234)], [0], 65535), ImageCounts(234)
    label_map = np.zeros((500, 500), dtype=int)
    label_map[:, 250:] = 200
    for n in range(50):
        images.add(str(n), metric.update(label_map, label_map))
    images.save(tmp_path / "image_counts.npz")
    assert (tmp_path / "image_counts.npz").stat().st_size < 5000


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file.*evaluate again"):
        ImageCounts.load(tmp_path / "image_counts.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ConfigurationError, match="num_classes"):
        ImageCounts.load(tmp_path / "other.npz")
    np.save(tmp_path / "array.npz.npy", np.zeros(3))
    counted(3)[1].save(tmp_path / "whole.npz")
    contents = {
        "text": b"no",
        "empty": b"",
        "cut": (tmp_path / "whole.npz").read_bytes()[:-30],
        "array": (tmp_path / "array.npz.npy").read_bytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read.*evaluate again"):
            ImageCounts.load(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": lambda counts: -counts},
        {"counts": lambda counts: counts.astype(float)},
        {"counts": lambda counts: counts[1:]},
        {"pairs": lambda pairs: pairs + 16},
        {"pairs": lambda pairs: pairs - 16},
        {"lengths": lambda lengths: lengths + 1},
        {"lengths": lambda lengths: lengths[1:]},
        {"lengths": lambda lengths: np.array([2**62, 2**62, 2**62, 2**62 + lengths.sum()])},
        {"num_classes": lambda number: -number},
        {"image_ids": lambda names: names[None]},
    ],
    ids=lambda change: "".join(change),
)
def test_counts_in_a_file_are_checked(change, tmp_path):
    path = tmp_path / "image_counts.npz"
    counted(4)[1].save(path)
    data = dict(np.load(path))
    np.savez(path, **data)
    assert len(ImageCounts.load(path)) == 4
    np.savez(path, **{**data, **{name: function(data[name]) for name, function in change.items()}})
    with pytest.raises(ConfigurationError, match="cannot be read as the counts"):
        ImageCounts.load(path)


def test_a_total_beyond_64_bits_is_refused():
    images = ImageCounts(1)
    for name in "abc":
        images.add(name, np.full((2, 2), 2**60, dtype=np.int64))
    with pytest.raises(ConfigurationError, match="more than can be counted"):
        images.total()
