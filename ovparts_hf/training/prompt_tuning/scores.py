"""The accuracy of prompts at classifying the parts of given objects, seen and unseen."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...data.part_dataset import PartDataset
from ...errors import ConfigurationError, DatasetError
from ...metrics.scores import harmonic_mean
from ...models.prompts import LearnedPrompts, pad_rows, tokenize_prompts
from ...taxonomy import PartTaxonomy
from ...taxonomy.tasks import Task, get_task
from .classifier import PromptClassifier
from .features import FeatureCache, PartFeatures, StockCLIP

_BATCH_SIZE = 64


def classify_parts(
    clip: StockCLIP,
    dataset: PartDataset,
    prompts: LearnedPrompts | str,
    task: str | Task = "zero_shot",
    *,
    fuse_weight: float | None = None,
    crop_ratio: float = 1.2,
    region_size: int = 384,
    cache: str | Path | None = None,
    workers: int = 0,
) -> dict[str, float]:
    """Classifies the labelled parts of the evaluation objects by their true masks, among the parts of the same object.

    Args:
        clip: The CLIP that the prompts are for.
        dataset: The dataset to score on.
        prompts: Tuned prompts, or a template such as "a photo of the {part} of a {object}.".
        task: Which records are scored and which classes count as seen.
        fuse_weight: Weight of the part's feature against the object's; None for the tuned one, or 1 with a template.
        crop_ratio: Side of the crop relative to that of the object's box.
        region_size: Height and width in pixels that the crop is resized to for CLIP.
        cache: Folder of features from earlier runs, see `FeatureCache`; None for none.
        workers: Processes that read images.

    Returns:
        In percent, NaN where undefined: `accuracy_seen`, `accuracy_unseen` and `accuracy_harmonic` over regions, and
        `class_accuracy_seen`, `class_accuracy_unseen` and `class_accuracy_harmonic`, their means over classes.

    Raises:
        OVPartsError: There is nothing to score, or the template or `region_size` cannot be used.
    """
    task, taxonomy = get_task(task), dataset.taxonomy
    clip.check_region_size(region_size)
    chosen, tokens = _prepare(clip, taxonomy, prompts, fuse_weight)
    samples = [(record, part) for record in dataset.evaluation_records(task) for part in dataset.parts_in(record)]
    if not samples:
        raise DatasetError(f"The dataset {taxonomy.name!r} has no labelled object to evaluate on.")
    features = FeatureCache(cache, clip, dataset, crop_ratio, region_size, workers).rows(samples)
    predicted = _predict(PromptClassifier(clip.model, chosen), features, tokens, taxonomy)
    return summarize(predicted, features.part_ids.numpy(), task.seen_ids(taxonomy))


def template_tokens(tokenizer: Any, taxonomy: PartTaxonomy, template: str) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` (classes, length) of the hand-written prompts of all classes."""
    try:
        names_part = "?" in template.format(object="", part="?")
    except (LookupError, ValueError):
        names_part = False
    if not names_part:
        raise ConfigurationError(f"The template {template!r} must name {{part}}, may name {{object}} and nothing else.")
    texts = [
        template.format(object=taxonomy.object_classes[taxonomy.object_of(part)], part=taxonomy.part_name(part))
        for part in range(len(taxonomy.part_classes))
    ]
    return pad_rows(tokenizer(texts).input_ids)


def summarize(predicted: np.ndarray, true: np.ndarray, seen_ids: Sequence[int]) -> dict[str, float]:
    """Accuracies as `classify_parts` returns them, from predicted and true part ids (rows,)."""
    correct = predicted == true
    scores = {}
    for group, members in (("seen", np.isin(true, seen_ids)), ("unseen", ~np.isin(true, seen_ids))):
        of_class = [correct[true == part].mean() for part in np.unique(true[members])]
        scores[f"accuracy_{group}"] = 100 * float(correct[members].mean()) if of_class else float("nan")
        scores[f"class_accuracy_{group}"] = 100 * float(np.mean(of_class)) if of_class else float("nan")
    for kind in ("accuracy", "class_accuracy"):
        scores[f"{kind}_harmonic"] = harmonic_mean(scores[f"{kind}_seen"], scores[f"{kind}_unseen"])
    return scores


def _prepare(
    clip: StockCLIP, taxonomy: PartTaxonomy, prompts: LearnedPrompts | str, fuse_weight: float | None
) -> tuple[LearnedPrompts, dict[str, torch.Tensor]]:
    """The prompts with the fusion weight to use, and their tokens."""
    if isinstance(prompts, str):
        chosen = LearnedPrompts(clip.model.config.text_config.hidden_size)  # its vectors occur in no template
        tokens = template_tokens(clip.tokenizer, taxonomy, prompts)
        fuse_weight = 1.0 if fuse_weight is None else fuse_weight
    else:
        chosen = copy.deepcopy(prompts)
        tokens = tokenize_prompts(clip.tokenizer, taxonomy.part_classes, *prompts.lengths)
    if fuse_weight is not None:
        nn.init.constant_(chosen.fuse_weight, fuse_weight)
    return chosen, tokens


@torch.no_grad()
def _predict(
    classifier: PromptClassifier, features: PartFeatures, tokens: dict[str, torch.Tensor], taxonomy: PartTaxonomy
) -> np.ndarray:
    device = classifier.clip.device
    classifier.to(device).eval()
    tokens = {name: values.to(device) for name, values in tokens.items()}
    object_ids = torch.tensor(taxonomy.part_object_ids)
    predicted = []
    for rows in torch.arange(len(features)).split(_BATCH_SIZE):
        output = classifier(
            features.part_features[rows].to(device),
            features.object_features[rows].to(device),
            (features.object_ids[rows][:, None] == object_ids).to(device),
            **tokens,
        )
        predicted.append(output.logits.argmax(-1).cpu())
    return torch.cat(predicted).numpy()
