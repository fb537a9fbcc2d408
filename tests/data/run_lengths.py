"""An independent encoder of masks."""

import numpy as np
from pycocotools import mask as coco


def encode_mask(mask: np.ndarray) -> dict:
    """Compressed COCO run lengths of an (H, W) mask."""
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return rle | {"counts": rle["counts"].decode("ascii")}
