"""Parts inside the objects that the same model finds: both are scored in one pass over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ConfigurationError
from ..models.modeling_utils import PartSegmentationModel
from ..models.post_processing import ScoreMaps, merge_score_maps
from ..taxonomy.vocabulary import Vocabulary


def check_finds_objects(model: PartSegmentationModel) -> None:
    """Refuses a model that cannot score parts and whole objects side by side."""
    if model.requires_object_masks or model.classes_interact or not model.scores_none:
        raise ConfigurationError(
            f"{type(model).__name__} cannot find objects besides their parts (object_segmenter='model'): name another "
            "model that finds them, or give None."
        )


def gated_candidates(vocabulary: Vocabulary) -> list[Sequence[int]]:
    """Who competes: the parts of each object, free text, and the objects, whose ids follow those of the classes."""
    count, parts = len(vocabulary.classes), list(vocabulary.objects.values())
    free_text = sorted(set(range(count)).difference(*parts))
    return [*parts, free_text, range(count, count + len(parts))]


def inside_objects(
    maps: Sequence[ScoreMaps], vocabulary: Vocabulary, size: tuple[int, int], scores: str, background: bool
) -> list[ScoreMaps]:
    """The scores of parts in the regions of their objects, and of free text everywhere.

    `maps` are those of `gated_candidates`, with "none"; the best object, or none, gets a pixel. Without `background`
    "none" does not compete with parts any more.
    """
    *of_parts, of_free_text, of_objects = maps
    first = len(vocabulary.classes)
    ids = tuple(i - first if i >= 0 else i for i in of_objects.ids)
    found, _ = merge_score_maps([of_objects._replace(ids=ids)], size, len(vocabulary.objects), scores)
    gated = [of_parts[i]._replace(region=found == i) for i in np.unique(found).tolist() if i >= 0]
    if of_free_text.ids != (-1,):
        gated.append(of_free_text._replace(region=np.ones(size, dtype=bool)))
    return gated if background else [_without_none(each) for each in gated]


def _without_none(maps: ScoreMaps) -> ScoreMaps:
    return maps._replace(logits=maps.logits[:-1], ids=maps.ids[:-1])
