"""Videos, frame by frame."""

import json

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import ImageError
from ovparts_hf.inference import video
from ovparts_hf.inference.result import PartSegmentation
from ovparts_hf.inference.video import VideoResult, frame_count, read_frames
from ovparts_hf.inference.visualization import class_colors

from .clips import gradient, write_clip

av = pytest.importorskip("av")
CLASSES = ("dog's head", "dog's ear")


def segmentation(size=(64, 48), class_id=0, classes=CLASSES):
    label_map = np.full(size[::-1], class_id, dtype=np.int16)
    return PartSegmentation(Image.new("RGB", size), label_map, classes, np.ones(len(classes), np.float32))


def bright_corner(image):
    pixels = np.asarray(image.convert("L")).astype(int)
    height, width = pixels.shape
    means = [pixels[r : r + height // 2, c : c + width // 2].mean() for r in (0, height // 2) for c in (0, width // 2)]
    return int(np.argmax(means))


def test_frames_come_in_order_with_their_times(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [gradient(corner=corner) for corner in range(4)], [0, 40, 200, 1000])
    frames = list(read_frames(path))
    assert [bright_corner(image) for image, _ in frames] == [0, 1, 2, 3]
    assert [seconds for _, seconds in frames] == pytest.approx([0, 0.04, 0.2, 1.0], abs=0.002)
    assert frame_count(path) == 4


def test_videos_of_telephones_are_turned_upright(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [gradient(corner=0)] * 2, turned=True)
    for image, _ in read_frames(path):
        assert image.size == (48, 64) and bright_corner(image) == 1


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mov"])
def test_other_containers(suffix, tmp_path):
    path = write_clip(tmp_path / f"clip{suffix}", [gradient()] * 3)
    assert [image.size for image, _ in read_frames(path)] == [(64, 48)] * 3


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", b"ffconcat version 1.0\nfile /etc/passwd\n"],
)
def test_what_is_no_video_is_refused(content, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"clip.mp4 is not a whole video \(.*\). Save or download it again."):
        list(read_frames(path))
    with pytest.raises(ImageError, match="gone.mp4 does not exist"):
        frame_count(tmp_path / "gone.mp4")


def test_frames_have_a_limit(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "clip.mp4", [gradient()])
    monkeypatch.setattr(video, "MAX_PIXELS", 3000)
    with pytest.raises(ImageError, match="frames of 64 x 48 pixels; allowed are 1 to 3,000"):
        next(read_frames(path))


def test_an_overlay_has_the_times_and_stable_colors(tmp_path):
    with VideoResult(tmp_path / "out", details=True) as written:
        for class_id, seconds in ((0, 0.0), (1, 0.5), (1, 0.5), (0, 2.0)):
            written.add(segmentation((333, 401), class_id), seconds)
    frames = list(read_frames(tmp_path / "out" / "overlay.mp4"))
    assert [seconds for _, seconds in frames] == pytest.approx([0, 0.5, 0.5, 2], abs=0.001)
    assert len({image.size for image, _ in frames}) == 1 and all(side % 2 == 0 for side in frames[0][0].size)
    for (image, _), class_id in zip(frames, (0, 1, 1, 0)):
        painted = np.asarray(image)[200, 166].astype(int)
        assert abs(painted - 0.65 * class_colors(CLASSES)[class_id]).max() < 12
    legends = [np.asarray(image)[405:].astype(int) for image, _ in frames]
    assert max(abs(legend - legends[0]).mean() for legend in legends) < 3  # of all classes, whatever is in the frame
    lines = [json.loads(line) for line in (tmp_path / "out" / "parts.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == [0, 0.5, 0.5, 2]
    assert lines[1]["annotations"] == segmentation((333, 401), 1).to_json()["annotations"]


def test_label_maps_are_those_of_the_results(tmp_path):
    with VideoResult(tmp_path / "out", overlay=False) as written:
        for class_id in (0, 1, -1):
            written.add(segmentation(class_id=class_id), 0.0)
    maps = [np.unique(Image.open(path)).tolist() for path in sorted((tmp_path / "out" / "label_maps").iterdir())]
    assert maps == [[0], [1], [255]]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["label_maps"]


def test_nothing_half_written_is_left(tmp_path):
    with VideoResult(tmp_path / "out", details=True) as written:
        written.add(segmentation(), 0.0)
    with pytest.raises(KeyboardInterrupt), VideoResult(tmp_path / "out", details=True) as written:
        written.add(segmentation(class_id=1), 0.0)
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["label_maps"]
    assert np.unique(Image.open(tmp_path / "out" / "label_maps" / "000000.png")).tolist() == [0]


def test_long_vocabularies_and_changing_sizes(tmp_path):
    many = tuple(f"thing's part number {number}" for number in range(500))
    with VideoResult(tmp_path / "out", labels=True) as written:
        written.add(segmentation((330, 330), classes=many), 0.0)
        written.add(segmentation((400, 320), classes=many), 0.1)
    assert [image.size for image, _ in read_frames(tmp_path / "out" / "overlay.mp4")] == [(330, 330)] * 2
