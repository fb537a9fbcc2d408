"""Instances as `supervision.Detections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ConfigurationError
from ..instances import PartInstance

if TYPE_CHECKING:
    from supervision import Detections


def to_detections(instances: Sequence[PartInstance]) -> Detections:
    """See `PartSegmentation.to_supervision`."""
    try:
        from supervision import Detections
    except ImportError as error:
        raise ConfigurationError(
            'Detections need supervision, which is not installed: pip install "ovparts_hf[supervision]".'
        ) from error
    if not instances:
        return Detections.empty()
    objects = [-1 if instance.object_id is None else instance.object_id for instance in instances]
    return Detections(
        xyxy=np.array([instance.box for instance in instances], dtype=np.float32),
        mask=np.stack([instance.mask for instance in instances]),
        confidence=np.array([instance.score for instance in instances], dtype=np.float32),
        class_id=np.array([instance.class_id for instance in instances]),
        data={"class_name": np.array([instance.label for instance in instances]), "object_id": np.array(objects)},
    )
