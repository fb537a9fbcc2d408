"""Times one image from start to finish, and looks at the memory, at sizes up to 50 megapixels.

    python examples/benchmark_images.py --model toy-trained --parts "dog: head, ear, tail"

For each size a new process loads the model and segments a JPEG file twice: the first time counts from the start of the
process (cold start: imports, loading, encoding of the words), the second time is what each further image costs.
Then the result is saved with overlay and JSON. Reported are wall seconds and the peak of the process's memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((640, 480), (4000, 3000), (8192, 6144))
COLUMNS = ("megapixels", "cold start (s)", "next image (s)", "saving all (s)", "peak after one (GB)", "peak (GB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="toy-trained", help="folder or Hub id")
    parser.add_argument("--parts", default="dog: head, ear, eye, nose, neck, torso, leg, paw, tail")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # the measured process
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.model, options.parts, options.one)))
        return
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---:|" * len(COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        for width, height in SIZES:
            path = Path(folder) / f"{width}x{height}.jpg"
            draw(width, height).save(path, quality=90)
            command = [sys.executable, __file__, "--model", options.model, "--parts", options.parts, "--one", str(path)]
            started = time.monotonic()
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            ended, *figures = json.loads(output.stdout)
            row = [width * height / 1e6, ended - started, *figures]
            print("| " + " | ".join(f"{figure:.1f}" for figure in row) + " |", flush=True)


def measure(model: str, parts: str, path: Path) -> list[float]:
    """The moment of the first answer, then the figures of the last four columns."""
    from ovparts_hf import PartSegmenter

    segmenter = PartSegmenter.from_pretrained(model)
    result = segmenter(path, parts)
    first, after_one = time.monotonic(), peak()
    result = segmenter(path, parts)
    second = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result.save(folder)
    return [first, second - first, time.monotonic() - second, after_one, peak()]


def peak() -> float:
    """Most memory that the process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def draw(width: int, height: int) -> Image.Image:
    """An image with structure at every scale of a photograph."""
    coarse = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
