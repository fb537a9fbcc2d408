"""Score maps become the numbers of PartCATSeg's own evaluator."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.models.post_processing import best_class
from ovparts_hf.utils.resize import resize_nearest

from ...golden_folder import golden

GOLDEN = golden("partcatseg")
NAMES = {"mIoU": "mIoU", "fwIoU": "fwIoU", "mRecall": "mRecall", "pACC": "pixel_accuracy", "h-IoU": "hIoU"}
NAMES |= {
    f"{kind}-{theirs}": f"{kind}_{ours}"
    for kind in ("mIoU", "mRecall")
    for theirs, ours in (("base", "seen"), ("unbase", "unseen"))
}


@pytest.mark.parametrize("setting", ["oracle", "pred_all"])
def test_metrics_agree(setting):
    facts = json.loads(GOLDEN.path("eval.json").read_text())
    tensors = load_file(GOLDEN.path("eval.safetensors"))
    scores, ground_truth = tensors[f"scores_{setting}"], tensors["gt_part_labels"].numpy()
    classes = GOLDEN.facts["test"]["classes"]
    metric = PartSegmentationMetric(
        classes, facts["base_class_ids"], GOLDEN.facts["ignore_value"], "partcatseg", setting == "pred_all"
    )
    ids = [*range(len(classes)), -1][: scores.shape[1]]
    for maps, labels in zip(scores, ground_truth):
        answer = best_class(maps, ids).numpy()
        reference = resize_nearest(labels.astype(np.int64), maps.shape[-2:])
        metric.update(answer, reference, np.ones(reference.shape, dtype=bool))
    expected = torch.tensor(facts[f"confusion_{setting}"]).numpy()
    np.testing.assert_array_equal(metric.confusion_matrix, expected)
    numbers, stored = metric.compute(), facts["metrics"]["oracle_obj" if setting == "oracle" else setting]
    for theirs, ours in NAMES.items():
        assert numbers[ours] == pytest.approx(stored[theirs], abs=1e-9)
    for name in classes:
        assert numbers["IoU"][name] == pytest.approx(stored[f"IoU-{name}"], abs=1e-9)
