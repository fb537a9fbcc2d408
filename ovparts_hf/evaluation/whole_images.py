"""Runs a model over images about which it is told nothing (setting "pred_all")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from transformers import PreTrainedModel

from ..data.part_dataset import PartDataset, PartSample
from ..data.records import Record
from ..errors import ConfigurationError
from ..inference.engine import NO_TTA, Asked, TestTimeAugmentation, View, predict_scores
from ..models.processing import PartSegmentationProcessor
from .prediction import Prediction, best_class
from .questions import Questions


def predict_images(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    records: Sequence[Record],
    workers: int = 0,
    progress: bool = False,
    *,
    words: dict[str, torch.Tensor] | None = None,
    objects_first: bool = False,
    test_time: TestTimeAugmentation = NO_TTA,
) -> Iterator[Prediction]:
    """Finds the parts of whole images: the best of all parts and "none", if the model scores that.

    Args:
        model: In any mode; it is put into evaluation mode.
        processor: The model's processor.
        dataset: Where the records come from.
        records: Objects that are scored; those of one image are adjacent.
        workers: Processes that read images.
        progress: Whether to show a bar.
        words: All part classes, as `model.encode_vocabulary` gives them; None encodes them now.
        objects_first: PartCLIPSeg's definition instead of PartCATSeg's: the same model is asked for the objects by
            their names, and the score of a part is multiplied by 0 where another object than its own is best.
        test_time: Options at test time.

    Yields:
        One prediction for each image, with the labels of its records.

    Raises:
        ConfigurationError: The model needs to be told an object's mask, or does not know the names of objects.
    """
    refuse_object_masks(model)
    model.eval()
    taxonomy = dataset.taxonomy
    words = model.encode_vocabulary(processor, taxonomy.part_classes, progress) if words is None else words
    object_words = model.encode_vocabulary(processor, taxonomy.object_classes) if objects_first else None
    object_of = torch.tensor(taxonomy.part_object_ids, device=model.device)
    ids = [*range(len(taxonomy.part_classes)), -1] if model.scores_none else range(len(taxonomy.part_classes))

    questions = Questions(records, partial(_read, dataset), processor, test_time, None)
    for [question] in questions.batches(1, workers, progress=progress):
        [(record, sample)] = question.asked
        size = sample.part_map.shape
        scores = whole_scores(model, processor, question.views, words, size)
        if object_words is not None:
            objects = whole_scores(model, processor, question.views, object_words, size)[: len(taxonomy.object_classes)]
            scores[: len(object_of)] *= objects.argmax(0) == object_of[:, None, None]
        yield Prediction(record, sample, best_class(test_time.refine(scores, sample.image), ids))


def whole_scores(
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    views: Sequence[View],
    words: dict[str, torch.Tensor],
    size: tuple[int, int],
) -> torch.Tensor:
    """Scores of all words at every pixel of one image.

    Returns:
        (words, height, width), and with "none" (words + 1, height, width) if the model scores it.
    """
    count = len(next(iter(words.values())))
    [scores] = predict_scores(
        model, processor, views, words, [Asked(0, range(count), size)], include_none=model.scores_none
    )
    return scores


def refuse_object_masks(model: PreTrainedModel) -> None:
    """Makes sure that a model can be shown an image alone.

    Raises:
        ConfigurationError: It needs to be told an object's mask.
    """
    if model.requires_object_masks:
        raise ConfigurationError(
            f"{type(model).__name__} answers only for an object whose mask it is told, so it cannot be asked about "
            "whole images. Use the setting 'oracle_obj', or 'pred_obj' with the objects of another model."
        )


def _read(dataset: PartDataset, group: list[Record]) -> list[tuple[Record, PartSample]]:
    return [(Record(group[0].split, group[0].row), dataset.read_objects(group))]
