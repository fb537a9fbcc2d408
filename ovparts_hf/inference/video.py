"""Videos: frames one by one, and what was found in them as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import ConfigurationError, ImageError
from ..utils.files import atomic_folder, atomic_write, first_line, user_path
from ..utils.images import MAX_PIXELS
from .visualization import PAPER, all_classes_legend, stack

if TYPE_CHECKING:
    from av.container import InputContainer

    from .result import PartSegmentation

_FORMATS = {".mkv": "matroska", ".webm": "matroska", ".avi": "avi"}  # others are MP4 and its kin
_TIME_BASE = Fraction(1, 90000)
_ENCODERS = ("libx264", "mpeg4")
_USUAL_RATE = 25  # frames a second, of a video that does not say


def check_installed() -> None:
    """Refuses to go on without PyAV."""
    if find_spec("av") is None:
        raise ConfigurationError('Videos need PyAV, which is not installed: pip install "ovparts_hf[video]".')


def frame_count(path: Path) -> int | None:
    """As the file says; None if it does not."""
    with _opened(path) as container:
        return container.streams.video[0].frames or None


def read_frames(path: Path) -> Iterator[tuple[Image.Image, float]]:
    """Each frame, RGB and upright, with its time in seconds; an ImageError at a file that is no whole video."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or _USUAL_RATE
        for number, frame in enumerate(container.decode(stream)):
            image = frame.to_image().convert("RGB")
            turned = image.rotate(frame.rotation, expand=True) if frame.rotation else image
            yield turned, float(number / rate if frame.time is None else frame.time)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """The format is that of the suffix, as others may name further files and addresses to be opened."""
    import av

    path = user_path(path)
    if not path.exists():
        raise ImageError(f"{path} does not exist.")
    with path.open("rb") as file:
        try:
            with av.open(file, format=_FORMATS.get(path.suffix.lower(), "mov")) as container:
                if not container.streams.video:
                    raise ImageError(f"{path} holds no pictures. Give a video.")
                _check_size(path, container.streams.video[0].codec_context)
                yield container
        except (av.FFmpegError, OSError) as error:
            reason = first_line(error)
            raise ImageError(f"{path} is not a whole video ({reason}). Save or download it again.") from error


def _check_size(path: Path, codec: Any) -> None:
    if not 0 < codec.width * codec.height <= MAX_PIXELS:
        size = f"{codec.width} x {codec.height} pixels"
        raise ImageError(f"{path} has frames of {size}; allowed are 1 to {MAX_PIXELS:,}. Give a smaller one.")


class VideoResult:
    """The files of a video, which get their names once the `with` block has ended without an error.

    `label_maps/` holds an image for each frame (000000.png, see `PartSegmentation.label_image`), `overlay.mp4` the
    overlays, `parts.jsonl` a line for each frame: its number, its time in seconds, and `PartSegmentation.to_json`.
    Earlier ones are replaced, or removed if they are not written now.
    """

    def __init__(self, folder: Path, overlay: bool = True, details: bool = False, labels: bool = False) -> None:
        self._folder, self._labels = user_path(folder), labels
        self._written = {"overlay.mp4": overlay, "parts.jsonl": details}
        self._count = 0
        self._stack = ExitStack()

    def __enter__(self) -> VideoResult:
        with ExitStack() as stack:
            for name in self._written:
                (self._folder / name).unlink(missing_ok=True)
            self._label_maps = stack.enter_context(atomic_folder(self._folder / "label_maps"))
            paths = {
                name: stack.enter_context(atomic_write(self._folder / name))
                for name, is_written in self._written.items()
                if is_written
            }
            self._overlay = self._details = None
            if "overlay.mp4" in paths:
                self._overlay = stack.enter_context(_VideoWriter(paths["overlay.mp4"]))
            if "parts.jsonl" in paths:
                self._details = stack.enter_context(paths["parts.jsonl"].open("w", encoding="utf-8"))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def add(self, result: PartSegmentation, seconds: float) -> None:
        """Writes what was found in the next frame."""
        result.label_image().save(self._label_maps / f"{self._count:06d}.png")
        if self._overlay is not None:
            picture = result.overlay(legend=False, labels=self._labels)
            legend = all_classes_legend(result.classes, picture.width)
            self._overlay.add(stack([picture, legend]) if legend.height <= picture.height else picture, seconds)
        if self._details is not None:
            line = {"frame": self._count, "seconds": seconds, **result.to_json()}
            self._details.write(json.dumps(line) + "\n")
        self._count += 1


class _VideoWriter:
    """Frames as an MP4 file, all of the size of the first."""

    def __init__(self, path: Path) -> None:
        import av

        self._file = path.open("w+b")
        self._container = av.open(self._file, "w", format="mp4")
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> _VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file, self._container:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode())

    def add(self, image: Image.Image, seconds: float) -> None:
        import av

        size = (image.width + image.width % 2, image.height + image.height % 2)  # which the usual encoding demands
        if self._stream is None:
            encoder = next(name for name in _ENCODERS if name in av.codecs_available)
            self._stream = self._container.add_stream(encoder, width=size[0], height=size[1], pix_fmt="yuv420p")
            self._stream.codec_context.time_base = _TIME_BASE
        even = Image.new("RGB", (self._stream.width, self._stream.height), PAPER)
        even.paste(image)
        frame = av.VideoFrame.from_image(even)
        self._last = max(self._last + 1, round(seconds / _TIME_BASE))  # a time that does not grow is moved
        frame.pts, frame.time_base = self._last, _TIME_BASE
        self._container.mux(self._stream.encode(frame))
