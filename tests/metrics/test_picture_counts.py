import numpy as np
import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.metrics import PartSegmentationMetric, PictureCounts

NAMES = ["cat's ear", "cat's tail", "dog's ear"]


def counted(records, seed=0):
    generator = np.random.default_rng(seed)
    metric, pictures = PartSegmentationMetric(NAMES, [0, 1], 255), PictureCounts(3)
    for n in range(records):
        prediction, reference = generator.integers(-1, 3, (5, 7)), generator.integers(0, 3, (5, 7))
        pictures.add(f"picture {n // 2}", metric.update(prediction, reference))
    return metric, pictures


def test_total_is_what_the_metric_counted():
    metric, pictures = counted(5)
    np.testing.assert_array_equal(pictures.total(), metric.confusion_matrix)
    np.testing.assert_array_equal(sum(pictures.matrices()), metric.confusion_matrix)
    assert pictures.image_ids == ["picture 0", "picture 0", "picture 1", "picture 1", "picture 2"]


@pytest.mark.parametrize("records", [0, 1, 4])
def test_file_round_trip(tmp_path, records):
    _, pictures = counted(records)
    path = tmp_path / "new" / "pictures.npz"
    pictures.save(path)
    read = PictureCounts.load(path)
    assert read.image_ids == pictures.image_ids and len(read) == records
    np.testing.assert_array_equal(list(read.matrices()), list(pictures.matrices()))
    assert list(path.parent.iterdir()) == [path]


def test_merging_appends():
    (_, first), (_, second) = counted(2), counted(3, seed=1)
    total = first.total() + second.total()
    first.merge(second)
    assert len(first) == 5
    np.testing.assert_array_equal(first.total(), total)
    with pytest.raises(ConfigurationError, match="over 4 classes cannot be merged into counts over 3"):
        first.merge(PictureCounts(4))


def test_size_depends_on_what_occurs_not_on_pixels(tmp_path):
    metric, pictures = PartSegmentationMetric([f"a's {i}" for i in range(234)], [0], 65535), PictureCounts(234)
    label_map = np.zeros((500, 500), dtype=int)
    label_map[:, 250:] = 200
    for n in range(50):
        pictures.add(str(n), metric.update(label_map, label_map))
    pictures.save(tmp_path / "pictures.npz")
    assert (tmp_path / "pictures.npz").stat().st_size < 5000


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file.*evaluate again"):
        PictureCounts.load(tmp_path / "pictures.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ConfigurationError, match="num_classes"):
        PictureCounts.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PictureCounts.load(tmp_path / "text.npz")
