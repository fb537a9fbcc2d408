"""Where the objects of an image come from when they are not given (setting "pred_obj").

A source finds at most one object class at each pixel. What a record is told is the mask of its class: all pixels of the
class, whatever the number of instances. docs/protocol_details.md says what follows from that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image
from transformers import PreTrainedModel, pipeline

from ..data.masks import LabelMap
from ..data.part_dataset import PartDataset, PartSample
from ..errors import ConfigurationError, DatasetError
from ..inference.engine import NO_TTA
from ..models.processing import PartSegmentationProcessor
from ..taxonomy import PartTaxonomy
from ..utils.hub import first_line
from .prediction import ObjectSource, best_class
from .whole_images import refuse_object_masks, whole_scores

_COLUMN = "column:"


class ModelObjects:
    """The same open-vocabulary model, asked for whole objects: the best of all object names and "none".

    Args:
        model: On the device to be used.
        processor: Its processor.
        taxonomy: Whose objects are looked for.

    Raises:
        ConfigurationError: The model has no score of "none", or needs to be told the mask of an object.
    """

    def __init__(self, model: PreTrainedModel, processor: PartSegmentationProcessor, taxonomy: PartTaxonomy) -> None:
        refuse_object_masks(model)
        if not model.scores_none:
            raise ConfigurationError(
                f"{type(model).__name__} has no score of 'none', so it would find an object everywhere. Take the "
                "objects from another model or from a folder."
            )
        self.model = model.eval()
        self.processor = processor
        self.words = model.encode_vocabulary(processor, taxonomy.object_classes)
        self.ids = [*range(len(taxonomy.object_classes)), -1]

    def __str__(self) -> str:
        return "the same model"

    def find(self, sample: PartSample) -> np.ndarray:
        """See `ObjectSource.find`."""
        views = NO_TTA.views(self.processor, sample.image)
        return best_class(whole_scores(self.model, self.processor, views, self.words, sample.part_map.shape), self.ids)


class SegmenterObjects:
    """A semantic, instance, panoptic or universal segmentation model of transformers.

    Segments are painted by ascending score, so that the surest wins where some overlap; those without a score keep
    their order.

    Args:
        segmenter: A pipeline "image-segmentation", or anything that is called likewise.
        labels: The names of its classes.
        taxonomy: Whose objects are looked for.
        names: From the segmenter's class to the object; None: those that are spelled alike, ignoring case, where
            "car, auto" names two spellings.
        name: What the segmenter is called.

    Raises:
        ConfigurationError: A name is unknown to the segmenter or the taxonomy, or no class stands for any object.
    """

    def __init__(
        self,
        segmenter: Callable[[Image.Image], Sequence[Mapping[str, Any]]],
        labels: Sequence[str],
        taxonomy: PartTaxonomy,
        names: Mapping[str, str] | None = None,
        name: str = "a segmenter",
    ) -> None:
        self.segmenter = segmenter
        self.name = name
        self.object_ids = _object_ids(labels, taxonomy, _equal_names(labels, taxonomy) if names is None else names)

    @classmethod
    def load(
        cls, name_or_path: str, taxonomy: PartTaxonomy, names: Mapping[str, str] | None = None, device: Any = "cpu"
    ) -> SegmenterObjects:
        """Loads a segmentation model by its folder or Hub id.

        Raises:
            ConfigurationError: There is no such model, it segments no images, or its classes do not fit.
        """
        try:
            segmenter = pipeline("image-segmentation", model=name_or_path, device=device)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{name_or_path!r} is neither a folder of object maps nor a segmentation model: {first_line(error)}"
            ) from error
        labels = list(segmenter.model.config.id2label.values())
        return cls(segmenter, labels, taxonomy, names, name_or_path)

    def __str__(self) -> str:
        return self.name

    def find(self, sample: PartSample) -> np.ndarray:
        """See `ObjectSource.find`."""
        return self.find_in(sample.image)

    def find_in(self, image: Image.Image) -> np.ndarray:
        """(height, width) int64 object ids, -1 where nothing was found."""
        found = np.full((image.height, image.width), -1)
        for segment in sorted(self.segmenter(image), key=lambda each: each["score"] or 0):
            if segment["label"] in self.object_ids:
                found[np.asarray(segment["mask"]) > 0] = self.object_ids[segment["label"]]
        return found


class FolderObjects:
    """Object maps that were made elsewhere: `<image_id>.png`, one channel of 8 or 16 bits, of the image's size.

    Args:
        folder: Where they are.
        taxonomy: Its object ids are the values, and its ignore index stands for no object.

    Raises:
        ConfigurationError: There is no such folder.
    """

    def __init__(self, folder: str | Path, taxonomy: PartTaxonomy) -> None:
        self.folder = Path(folder)
        self.taxonomy = taxonomy
        if not self.folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder; give one with an object map <image_id>.png each.")

    def __str__(self) -> str:
        return str(self.folder)

    def find(self, sample: PartSample) -> np.ndarray:
        """See `ObjectSource.find`.

        Raises:
            ConfigurationError: The map of an image is missing or not as it must be.
        """
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
    """Object maps in a column of the dataset itself: PNG images like those of `FolderObjects`.

    Args:
        dataset: Whose rows have the column.
        column: Its name.

    Raises:
        ConfigurationError: There is no such column of images.
    """

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
        """See `ObjectSource.find`.

        Raises:
            ConfigurationError: A map is not as it must be.
        """
        maps, row = self.rows[sample.image_id]
        where = f"{self.column} of {sample.image_id}"
        return _read_object_map(maps[row][self.column]["bytes"], where, sample, self.taxonomy)


def _read_object_map(content: bytes, where: str, sample: PartSample, taxonomy: PartTaxonomy) -> np.ndarray:
    ignore = taxonomy.ignore_index
    try:
        found = LabelMap.from_png(content, 8 if ignore <= 255 else 16, where).values.astype(np.int64)
    except DatasetError as error:
        raise ConfigurationError(f"{where} cannot be read as an object map ({error}).") from error
    classes = len(taxonomy.object_classes)
    wrong = np.setdiff1d(found, [*range(classes), ignore])
    if found.shape != sample.part_map.shape or len(wrong):
        raise ConfigurationError(
            f"{where} has the size {found.shape} and the unknown ids {wrong[:5].tolist()}; it must have the image's "
            f"size {sample.part_map.shape} and ids from 0 to {classes - 1} or {ignore}."
        )
    return np.where(found == ignore, -1, found)


def get_objects(
    source: str,
    model: PreTrainedModel,
    processor: PartSegmentationProcessor,
    dataset: PartDataset,
    names: Mapping[str, str] | None = None,
) -> ObjectSource:
    """The source of objects that a word of the command line stands for.

    Args:
        source: "model"; "column:NAME" for object maps in the dataset; a folder of object maps; or the folder or Hub id
            of a segmentation model.
        model: The model that is evaluated.
        processor: Its processor.
        dataset: Whose objects are looked for.
        names: See `SegmenterObjects`.

    Raises:
        ConfigurationError: It is none of these, or does not fit.
    """
    if source == "model":
        return ModelObjects(model, processor, dataset.taxonomy)
    if source.startswith(_COLUMN):
        return ColumnObjects(dataset, source.removeprefix(_COLUMN))
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        return FolderObjects(folder, dataset.taxonomy)
    return SegmenterObjects.load(source, dataset.taxonomy, names, model.device)


def read_names(path: str | Path) -> dict[str, str]:
    """Reads a mapping from a segmenter's classes to objects.

    Raises:
        ConfigurationError: The file is not a JSON object of texts.
    """
    try:
        names = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ConfigurationError(f'{path} is not a JSON object of names, like {{"automobile": "car"}}.')
    return names


def _equal_names(labels: Sequence[str], taxonomy: PartTaxonomy) -> dict[str, str]:
    objects = {name.lower(): name for name in taxonomy.object_classes}
    spelled = {label: [each.strip().lower() for each in label.split(",")] for label in labels}
    return {
        label: objects[each] for label, spellings in spelled.items() for each in reversed(spellings) if each in objects
    }


def _object_ids(labels: Sequence[str], taxonomy: PartTaxonomy, names: Mapping[str, str]) -> dict[str, int]:
    unknown = [label for label in names if label not in labels]
    unknown_objects = [name for name in names.values() if name not in taxonomy.object_classes]
    if unknown or unknown_objects or not names:
        raise ConfigurationError(
            f"The classes of the segmenter must be mapped to objects of {taxonomy.name!r}: {len(names)} are, "
            f"{unknown[:5]} are none of its classes (such as {list(labels)[:5]}) and {unknown_objects[:5]} no objects. "
            'Give a mapping like {"automobile": "car"}.'
        )
    return {label: taxonomy.object_classes.index(name) for label, name in names.items()}
