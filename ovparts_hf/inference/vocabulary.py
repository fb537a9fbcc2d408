"""Features of class names, encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from ..errors import OVPartsError
from ..models.processing import PartSegmentationProcessor

_PROMPTS_AT_ONCE = 1280


def encode_words(
    model: PreTrainedModel, processor: PartSegmentationProcessor, classes: Sequence[str], progress: bool = False
) -> dict[str, torch.Tensor]:
    """A vocabulary as a model's `forward` takes it.

    Args:
        model: On the device to be used.
        processor: The model's processor.
        classes: Part classes ("dog's ear"), or any words that the model knows.
        progress: Whether to show a bar, if there is much to encode.

    Returns:
        Arguments of `forward`, each with one row for each class.

    Raises:
        OVPartsError: A name cannot be tokenized, or is not in a closed vocabulary.
    """
    if hasattr(model, "find_classes"):
        return {"class_features": model.find_classes(classes)}
    words = {"class_features": encode_vocabulary(model, processor, classes, progress)}
    if getattr(model.config, "image_conditioned_prompts", False):
        words.update(processor(classes=classes).to(model.device))
    if getattr(model.config, "seen_class_names", None) is not None:
        seen = set(model.config.seen_class_names)
        words["seen_classes"] = torch.tensor([name in seen for name in classes], device=model.device)
    return words


@torch.no_grad()
def encode_vocabulary(
    model: PreTrainedModel, processor: PartSegmentationProcessor, classes: Sequence[str], progress: bool = False
) -> torch.Tensor:
    """Encodes class names; those whose features are saved with the model are looked up.

    Args:
        model: On the device to be used.
        processor: The model's processor.
        classes: Part classes ("dog's ear"), or any words.
        progress: Whether to show a bar, if there is anything to encode.

    Returns:
        One row for each class, as the model's `encode_classes` gives it.

    Raises:
        OVPartsError: The list is empty, or a name cannot be tokenized.
    """
    if not classes:
        raise OVPartsError("The vocabulary is empty; give at least one class name.")
    known = stored_classes(model)
    missing = [name for name in dict.fromkeys(classes) if name not in known]
    count = max(1, _PROMPTS_AT_ONCE // len(processor.templates or ("{}",)))
    groups = [missing[start : start + count] for start in range(0, len(missing), count)]
    for names in tqdm(groups, desc="Encoding class names", disable=not progress or not missing):
        tokens = processor(classes=names).to(model.device)
        known.update(zip(names, model.encode_classes(**tokens)))
    return torch.stack([known[name] for name in classes])


def store_vocabulary(
    model: PreTrainedModel, processor: PartSegmentationProcessor, classes: Sequence[str], progress: bool = True
) -> None:
    """Encodes class names and keeps them and their features with the model, as its own vocabulary.

    Args:
        model: On the device to be used. One with a closed vocabulary has its own already: nothing is done.
        processor: The model's processor.
        classes: Part classes ("dog's ear"), each once; they replace those that the model has, whose features are looked
            up where they are the same.
        progress: Whether to show a bar, if there is anything to encode.
    """
    if hasattr(model, "store_classes"):
        model.store_classes(classes, encode_vocabulary(model, processor, classes, progress))


def own_classes(model: PreTrainedModel) -> list[str] | None:
    """The classes that a model scores without being given words: a closed vocabulary, or the one stored with it.

    Returns:
        Their names in the order of `logits`; None if it has to be given words.
    """
    if hasattr(model, "find_classes"):
        return [model.config.id2label[number] for number in range(model.config.num_labels)]
    names = getattr(model.config, "class_names", None)
    return None if names is None else list(names)


def stored_classes(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The features that were saved with a model, by class name."""
    features = getattr(model, "class_features", None)
    return {} if features is None else dict(zip(model.config.class_names, features))


def learns_words(model: PreTrainedModel, processor: PartSegmentationProcessor, classes: Sequence[str]) -> bool:
    """Whether the text encoder of a model is being trained, so that the features of these classes change."""
    with torch.enable_grad():
        return model.encode_classes(**processor(classes=classes[:1]).to(model.device)).requires_grad
