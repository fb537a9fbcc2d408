"""Where the objects of an image come from when they are not given (setting "pred_obj").

A source finds at most one object class at each pixel; a record is given all pixels of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from datasets import Dataset
from datasets import Image as ImageFeature
from transformers import PreTrainedModel

from ..data.masks import LabelMap
from ..data.part_dataset import PartDataset, PartSample
from ..errors import ConfigurationError, DatasetError
from ..inference.adapters.loading import takes_any_name
from ..inference.objects import (
    ObjectSegmenter,
    OpenVocabularyObjectSegmenter,
    PretrainedObjectSegmenter,
    validate_object_masks,
)
from ..inference.segmenter import PartSegmenter
from ..models.processing import PartSegmentationProcessor
from ..taxonomy import PartTaxonomy
from ..taxonomy.vocabulary import Vocabulary
from ..utils.files import read_json, user_path

_COLUMN = "column:"


class ObjectSource(Protocol):
    """Finds the objects of an image."""

    def find(self, sample: PartSample) -> np.ndarray:
        """The object ids (H, W) int64 in an image, -1 where nothing was found; its labels must not be looked at."""


class SegmentedObjects:
    """Objects that a segmenter finds by their names; where it finds several, the last one counts."""

    def __init__(self, segmenter: ObjectSegmenter, taxonomy: PartTaxonomy) -> None:
        self.segmenter = segmenter
        parts = {name: taxonomy.parts_of(i) for i, name in enumerate(taxonomy.object_classes)}
        self.vocabulary = Vocabulary(taxonomy.part_classes, parts)
        self.object_ids = {name: i for i, name in enumerate(parts)}

    def __str__(self) -> str:
        return str(self.segmenter)

    def find(self, sample: PartSample) -> np.ndarray:
        object_map = np.full(sample.part_map.shape, -1)
        masks = self.segmenter(sample.image, self.vocabulary)
        for name, mask in validate_object_masks(masks, self.vocabulary, object_map.shape):
            object_map[mask] = self.object_ids[name]
        return object_map


class FolderObjects:
    """Object maps `<image_id>.png` that were made elsewhere: one channel of 8 or 16 bits, of the image's size, with the
    taxonomy's object ids, and its ignore index for no object.
    """

    def __init__(self, folder: str | Path, taxonomy: PartTaxonomy) -> None:
        self.folder = user_path(folder)
        self.taxonomy = taxonomy
        if not self.folder.is_dir():
            raise ConfigurationError(
                f"{folder} is not a folder; give one with an object map <image_id>.png for each image."
            )

    def __str__(self) -> str:
        return str(self.folder)

    def find(self, sample: PartSample) -> np.ndarray:
        path = self.folder / f"{sample.image_id}.png"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read as an object map ({error}). An image without objects needs a map, too, full "
                f"of {self.taxonomy.ignore_index}."
            ) from error
        return _read_object_map(content, str(path), sample, self.taxonomy)


class ColumnObjects:
    """Object maps in a column of the dataset itself: PNG images like those of `FolderObjects`."""

    def __init__(self, dataset: PartDataset, column: str) -> None:
        self.column, self.taxonomy = column, dataset.taxonomy
        self.rows: dict[str, tuple[Dataset, int]] = {}
        for split, rows in dataset.splits.items():
            if not isinstance(rows.features.get(column), ImageFeature):
                images = [name for name, kind in rows.features.items() if isinstance(kind, ImageFeature)]
                raise ConfigurationError(f"Split {split} has no column {column!r} of images; it has {images}.")
            maps = rows.select_columns([column]).cast_column(column, ImageFeature(decode=False))
            self.rows |= {name: (maps, row) for row, name in enumerate(rows["image_id"])}

    def __str__(self) -> str:
        return f"column {self.column}"

    def find(self, sample: PartSample) -> np.ndarray:
        maps, row = self.rows[sample.image_id]
        where = f"{self.column} of {sample.image_id}"
        return _read_object_map(maps[row][self.column]["bytes"], where, sample, self.taxonomy)


def _read_object_map(content: bytes, where: str, sample: PartSample, taxonomy: PartTaxonomy) -> np.ndarray:
    ignore = taxonomy.ignore_index
    try:
        object_map = LabelMap.from_png(content, taxonomy.mask_bits, where).values.astype(np.int64)
    except DatasetError as error:
        raise ConfigurationError(f"{where} cannot be read as an object map ({error}).") from error
    classes = len(taxonomy.object_classes)
    unknown = np.setdiff1d(object_map, [*range(classes), ignore])
    if object_map.shape != sample.part_map.shape or len(unknown):
        raise ConfigurationError(
            f"{where} has the size {object_map.shape} and the unknown ids {unknown[:5].tolist()}; it must have the "
            f"image's size {sample.part_map.shape} and ids from 0 to {classes - 1} or {ignore}."
        )
    return np.where(object_map == ignore, -1, object_map)


def get_objects(
    source: str,
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    names: Mapping[str, str] | None = None,
) -> ObjectSource:
    """What `ovparts evaluate --objects` gives: "model" (the one that is evaluated), "column:NAME" for object maps in
    the dataset, a folder of them, or a segmentation model, from whose classes `names` leads to objects.
    """
    taxonomy = dataset.taxonomy
    if source.startswith(_COLUMN):
        return ColumnObjects(dataset, source.removeprefix(_COLUMN))
    folder = user_path(source)
    if source == "model":
        part_segmenter = PartSegmenter(model, processor)
        segmenter = OpenVocabularyObjectSegmenter(part_segmenter, "the same model")
        part_segmenter.prepare(taxonomy.object_classes)
    elif folder.is_dir() and not (folder / "config.json").is_file():
        return FolderObjects(folder, taxonomy)
    else:
        segmenter = _named_segmenter(source, model.device, names, taxonomy)
    return SegmentedObjects(segmenter, taxonomy)


def _named_segmenter(
    name_or_path: str, device: torch.device, names: Mapping[str, str] | None, taxonomy: PartTaxonomy
) -> ObjectSegmenter:
    """A model that is asked for the objects' names if it takes any, or one whose own classes are objects."""
    if names is None and takes_any_name(name_or_path):
        part_segmenter = PartSegmenter.from_pretrained(name_or_path, device)
        part_segmenter.prepare(taxonomy.object_classes)
        return OpenVocabularyObjectSegmenter(part_segmenter)
    segmenter = PretrainedObjectSegmenter.load(name_or_path, names, device)
    segmenter.match(taxonomy.object_classes)
    return segmenter


def read_names(path: str | Path) -> dict[str, str]:
    """Reads a JSON object that leads from a segmenter's classes to objects."""
    names = read_json(path, ConfigurationError)
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ConfigurationError(f'{path} is not a JSON object of names, like {{"automobile": "car"}}.')
    return names
