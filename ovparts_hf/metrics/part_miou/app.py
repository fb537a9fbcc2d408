"""The Space of the metric: two label maps in, numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
import numpy as np
from PIL import Image

from ovparts_hf.metrics.flavours import FLAVOURS
from ovparts_hf.taxonomy import TAXONOMIES

HERE = Path(__file__).parent
NUMBERS = ("mIoU", "mIoU_seen", "mIoU_unseen", "hIoU", "fwIoU", "mRecall", "pixel_accuracy")


def score(prediction: str, reference: str, vocabulary: str, metrics: str) -> dict[str, Any]:
    """Scores one PNG label map against another; both are file paths."""
    metric = evaluate.load(str(HERE), vocabulary, metrics=metrics)
    maps = [np.asarray(Image.open(path)) for path in (prediction, reference)]
    try:
        numbers = metric.compute(predictions=maps[:1], references=maps[1:])
    except ValueError as error:
        raise gr.Error(str(error)) from error
    rounded = {key: round(numbers[key], 2) for key in NUMBERS if numbers[key] == numbers[key]}
    return {**rounded, "IoU": {name: round(value, 2) for name, value in numbers["IoU"].items() if value == value}}


demo = gr.Interface(
    score,
    [
        gr.File(label="Prediction: PNG of class ids", file_types=[".png"], type="filepath"),
        gr.File(label="Reference: PNG of class ids", file_types=[".png"], type="filepath"),
        gr.Dropdown(list(TAXONOMIES), value="pascal-part-116", label="Vocabulary"),
        gr.Dropdown(list(FLAVOURS), value="ov_parts", label="Definitions"),
    ],
    gr.JSON(label="Numbers in percent"),
    title="Part mIoU",
    description="Seen, unseen and harmonic IoU of object parts for one image. Use the module for a test set.",
)

if __name__ == "__main__":
    demo.launch()
