"""Small videos for tests."""

from fractions import Fraction

import numpy as np
from PIL import Image

BASE = Fraction(1, 1000)


def write_clip(path, images, times=None, turned=False):
    """Writes images of an even size as a video; `times` in milliseconds; `turned`: to be shown a quarter turned."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", width=images[0].width, height=images[0].height, pix_fmt="yuv420p")
        stream.codec_context.time_base, stream.bit_rate = BASE, 10**7
        for image, time in zip(images, times or range(0, 40 * len(images), 40)):
            frame = av.VideoFrame.from_image(image.convert("RGB"))
            frame.pts, frame.time_base = time, BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if turned:
        path.write_bytes(_turn(path.read_bytes()))
    return path


def _turn(data):
    """Puts the matrix of a quarter turn clockwise into the header of the track."""
    one, minus = 0x10000, -0x10000
    upright, clockwise = (
        np.array(values, dtype=">i4").tobytes()
        for values in ((one, 0, 0, 0, one, 0, 0, 0, 0x40000000), (0, one, 0, minus, 0, 0, 0, 0, 0x40000000))
    )
    start = data.index(b"tkhd")
    place = data.index(upright, start)
    return data[:place] + clockwise + data[place + len(upright) :]


def gradient(width=64, height=48, corner=0):
    """Dark, with one bright quarter: 0 upper left, 1 upper right, 2 lower left, 3 lower right."""
    pixels = np.full((height, width, 3), 30, dtype=np.uint8)
    top, left = corner // 2 * (height // 2), corner % 2 * (width // 2)
    pixels[top : top + height // 2, left : left + width // 2] = 220
    return Image.fromarray(pixels)
