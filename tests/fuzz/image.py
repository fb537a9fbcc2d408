"""Mutated images through `predict`, the segmenter and the page's opener."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.app.work import find_parts
from ovparts_hf.toy.world import draw
from ovparts_hf.utils.images import load_image

from .mutations import mutate_bytes
from .runner import Case, Fault, call, files_in, run_command

PARTS = "bench: seat, back"
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "transparent P")
LOSSLESS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "transparent P"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("1", "L", "P", "transparent P"),
    "QOI": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB"),
    "TGA": ("L", "LA", "P", "RGB", "RGBA"),
    "SGI": ("L", "RGB", "RGBA"),
    "PCX": ("1", "L", "P", "RGB"),
    "WEBP": ("RGB", "RGBA"),
}
"""Modes that a format keeps as they are."""
OTHERS = ("JPEG", "JPEG2000", "AVIF", "ICO", "ICNS", "DDS", "IM", "MSP", "SPIDER", "XBM", "BLP", "DIB")
Image.init()
LOSSLESS = {form: modes for form, modes in LOSSLESS.items() if form in Image.SAVE}  # older Pillows know fewer
OTHERS = tuple(form for form in OTHERS if form in Image.SAVE)
TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What a viewer does with an image of each EXIF orientation."""
TURNABLE = ("PNG", "WEBP", "TIFF", "JPEG")


class ImageFuzzer:
    """An image is segmented as Pillow decodes it, or refused."""

    def __init__(self, folder: Path) -> None:
        self.segmenter = PartSegmenter.from_pretrained()
        self.drawings = [draw("fuzz", number).image for number in range(4)]

    def run(self, case: Case) -> bool:
        numbers = case.random
        drawing = numbers.choice(self.drawings).resize((numbers.randint(1, 90), numbers.randint(1, 90)))
        form = numbers.choice([*LOSSLESS, *LOSSLESS, *OTHERS, "PNG", "JPEG"])
        mode = numbers.choice(LOSSLESS.get(form, MODES))
        orientation = numbers.choice([None, None, *TURNED]) if form in TURNABLE else None
        case.notes += [form, mode, f"{drawing.width} x {drawing.height}", f"orientation {orientation}"]
        data, expected = _encode(drawing, mode, form, orientation)
        whole = numbers.random() < 0.3
        if not whole:
            data = case.choose({"bytes": mutate_bytes, "header": _huge_header, "EXIF": _break_exif})(numbers, data)
        path = case.folder / f"image.{numbers.choice([form.lower(), form.lower(), 'png', 'jpg', 'txt', 'PNG '])}"
        path.write_bytes(data)
        image = call(load_image, path)
        if whole and form in LOSSLESS:
            _compare(image, expected)
        answer = self._segment(path, image)
        if numbers.random() < 0.1:  # which loads the model anew
            self._predict(path, case.folder / "out", answer)
        return image is not None

    def _segment(self, path: Path, image: Image.Image | None) -> np.ndarray | None:
        """Every way to open the file gives what its pixels give, or nothing."""
        expected = None if image is None else self.segmenter(np.asarray(image), PARTS).label_map
        for way in (self.segmenter, lambda *given: find_parts(self.segmenter, *given)):
            result = call(way, path, PARTS)
            if (result is None) != (image is None):
                raise Fault("some ways to open the file refuse it, others do not")
            if image is not None and not np.array_equal(result.label_map, expected):
                raise Fault("the answer is not that of the pixels")
        return expected

    def _predict(self, path: Path, out: Path, answer: np.ndarray | None) -> None:
        ending = run_command("predict", path, "--parts", PARTS, "--out", out, "--json", "--overlay")
        files = files_in(out)
        if (ending.code == 0) != (answer is not None):
            raise Fault(f"exit code {ending.code}: {ending.err}")
        if answer is None:
            if any(files[name] != b"(folder)" for name in files):
                raise Fault(f"no answer, but there are {list(files)}")
            return
        if {Path(name).name for name in files} != {"label_map.png", "overlay.png", "parts.json"}:
            raise Fault(f"written were {list(files)}")
        label_map = np.asarray(Image.open(next(out.rglob("label_map.png"))))
        if not np.array_equal(label_map, np.where(answer < 0, 255, answer)):
            raise Fault("the label map is not the answer")


def _encode(drawing: Image.Image, mode: str, form: str, orientation: int | None) -> tuple[bytes, np.ndarray]:
    """An image file, and the RGB that a viewer shows if the format keeps the mode."""
    image, shown = _converted(drawing, mode)
    options = {"lossless": True} if form == "WEBP" else {}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif.tobytes()
    for attempt in (image, *map(drawing.convert, ("RGB", "L", "P", "1"))):
        buffer = io.BytesIO()
        try:
            attempt.save(buffer, form, **options)
        except (OSError, ValueError, KeyError, struct.error):  # no such mode in this format
            continue
        return buffer.getvalue(), TURNED[orientation or 1](shown)
    raise AssertionError(f"nothing can be saved as {form}")


def _converted(drawing: Image.Image, mode: str) -> tuple[Image.Image, np.ndarray]:
    """An image of a mode, and the RGB that a viewer shows, computed without Pillow where that is not trivial."""
    rgb, grey = np.asarray(drawing.convert("RGB")), np.asarray(drawing.convert("L"))
    ramp = np.linspace(0, 255, grey.size).reshape(grey.shape).astype(np.uint8)
    share = ramp[..., None] / 255
    if mode in ("RGBA", "LA"):
        colors = rgb if mode == "RGBA" else grey[..., None].repeat(3, -1)
        own = rgb if mode == "RGBA" else grey[..., None]
        image = Image.fromarray(np.concatenate([own, ramp[..., None]], -1))
        return image, (colors * share + 255 * (1 - share)).round().astype(np.uint8)
    if mode == "CMYK":
        image = Image.fromarray(np.concatenate([255 - rgb, 0 * ramp[..., None]], -1), mode="CMYK")
        return image, rgb
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257), grey[..., None].repeat(3, -1)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255), grey[..., None].repeat(3, -1)
    if mode == "transparent P":
        image = drawing.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
        hidden = np.asarray(image)[..., None] == 3
        shown = np.where(hidden, 255, np.asarray(image.convert("RGB")))
        image.info["transparency"] = 3
        return image, shown.astype(np.uint8)
    image = drawing.convert(mode)
    return image, np.asarray(image.convert("RGB"))


def _huge_header(numbers, data: bytes) -> bytes:
    """Claims another size in a PNG, or in the first bytes of any other file."""
    sides = [numbers.choice([0, 1, 200, 8191, 20_000, 2**31 - 1, 2**32 - 1]) for _ in range(2)]
    if data.startswith(b"\x89PNG"):
        header = struct.pack(">II", *sides) + data[24:29]
        return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]
    place = numbers.randrange(4, min(40, len(data)))
    form = numbers.choice([">I", "<I", ">H", "<H"])
    number = struct.pack(form, sides[0] & (0xFFFF if form.endswith("H") else 0xFFFFFFFF))
    return data[:place] + number + data[place + len(number) :]


def _break_exif(numbers, data: bytes) -> bytes:
    """Damages what follows the mark of EXIF, or else anything."""
    place = max(data.find(b"Exif\0\0"), data.find(b"eXIf"))
    if place < 0:
        return mutate_bytes(numbers, data)
    damaged = bytearray(data)
    for _ in range(numbers.randint(1, 5)):
        damaged[min(place + numbers.randrange(6, 40), len(data) - 1)] = numbers.randrange(256)
    return bytes(damaged)


def _compare(image: Image.Image | None, expected: np.ndarray) -> None:
    if image is None:
        raise Fault("a whole image is refused")
    if image.mode != "RGB" or np.asarray(image).shape != expected.shape:
        raise Fault(f"{image.mode} of {np.asarray(image).shape}, expected was RGB of {expected.shape}")
    distance = np.abs(np.asarray(image, int) - expected).max()
    if distance > 2:  # alpha is rounded
        raise Fault(f"pixels differ by up to {distance}")
