"""Features of labelled objects and their parts from a frozen CLIP, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import AutoConfig, AutoTokenizer, CLIPModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from ...data.part_dataset import PartDataset
from ...data.records import Record
from ...errors import ConfigurationError
from ...models.clip_regions import clip_normalized, masked_means, object_region, patch_features, patch_masks
from ...models.pretrained import load_pretrained
from ...utils.files import atomic_write, first_line

logger = logging.getLogger(__name__)

_BATCH_SIZE = 8
_OBJECTS_PER_FILE = 256


@dataclass(frozen=True)
class StockCLIP:
    """The pretrained CLIP that prompts are tuned for."""

    model: CLIPModel  # in float32 and evaluation mode
    tokenizer: Any
    mean: tuple[float, ...] = tuple(OPENAI_CLIP_MEAN)  # what pixel values in 0..1 are normalised with
    std: tuple[float, ...] = tuple(OPENAI_CLIP_STD)

    @classmethod
    def load(cls, name_or_path: str | Path) -> StockCLIP:
        """Loads a pretrained CLIP: a folder, a Hub repository, or "toy" for the small CLIP in this package.

        Raises:
            ConfigurationError: There is no such model, or it is not a CLIP.
        """
        location = str(resources.files("ovparts_hf") / "toy" / "clip" if name_or_path == "toy" else name_or_path)
        try:
            kind = AutoConfig.from_pretrained(location, trust_remote_code=False).model_type
            if kind != "clip":
                raise ConfigurationError(f"{name_or_path!r} is a {kind!r} model; prompts are tuned for a stock 'clip'.")
            images = CLIPImageProcessorPil.from_pretrained(location, trust_remote_code=False)
        except ConfigurationError:
            raise
        except (OSError, ValueError) as error:
            message = f"No CLIP with a preprocessor at {name_or_path!r}: {first_line(error)}"
            raise ConfigurationError(message) from error
        model, _ = load_pretrained(CLIPModel.from_pretrained, location, (), dtype="float32")
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
        return cls(model.eval(), tokenizer, tuple(images.image_mean), tuple(images.image_std))

    def check_region_size(self, region_size: int) -> None:
        """Raises a ConfigurationError unless a region is a whole number of patches wide."""
        patch_size = self.model.config.vision_config.patch_size
        if region_size % patch_size:
            raise ConfigurationError(
                f"region_size is {region_size}; it must be a multiple of CLIP's {patch_size} pixels."
            )


@dataclass(frozen=True)
class PartFeatures:
    """CLIP's features of object parts, one part per row."""

    object_ids: torch.Tensor  # (rows,) int64, of the dataset's vocabulary
    part_ids: torch.Tensor  # likewise
    object_features: torch.Tensor  # (rows, dim) float32, the mean of CLIP's unit vectors over the object's patches
    part_features: torch.Tensor  # (rows, dim) float32, over those of the part

    def __len__(self) -> int:
        return len(self.part_ids)


@dataclass
class FeatureCache:
    """Features of objects and of their labelled parts, computed once and then read from a folder, if there is one.

    Files are kept apart by data, weights of CLIP and crops, so one folder serves all runs. An interrupted computation
    continues where it stopped.
    """

    root: str | Path | None  # of all caches; None keeps nothing
    clip: StockCLIP  # its model is moved to the device of this process
    dataset: PartDataset
    crop_ratio: float = 1.2
    region_size: int = 384
    workers: int = 0

    def __post_init__(self) -> None:
        self.folder = None if self.root is None else Path(self.root) / self._key()

    def rows(self, samples: Sequence[tuple[Record, int]]) -> PartFeatures:
        """The features of (object, id of a part labelled on it) pairs, in their order."""
        features = self.objects(list(dict.fromkeys(record for record, _ in samples)))
        parts = {record: self.dataset.parts_in(record) for record in features}
        return PartFeatures(
            torch.tensor([record.object_id for record, _ in samples]),
            torch.tensor([part for _, part in samples]),
            torch.stack([features[record][0] for record, _ in samples]),
            torch.stack([features[record][1 + parts[record].index(part)] for record, part in samples]),
        )

    @torch.no_grad()
    def objects(self, records: Sequence[Record]) -> dict[Record, torch.Tensor]:
        """Features (1 + parts, dim) float32: of an object, then of its `dataset.parts_in`; processes share the work."""
        process = PartialState()
        found = self._read(records)
        missing = [record for record in records if record not in found]
        shares = process.num_processes if self.folder is not None else 1
        share = missing[process.process_index :: shares] if shares > 1 else missing
        logger.info("%d objects are in the cache, %d are to be encoded", len(found), len(missing))
        self.clip.model.to(process.device)
        computed: dict[Record, torch.Tensor] = {}
        with tqdm(total=len(share), desc="Encoding", unit="object", disable=not process.is_local_main_process) as bar:
            for start in range(0, len(share), _OBJECTS_PER_FILE):
                done = {}
                for record, features in self._encode(share[start : start + _OBJECTS_PER_FILE]):
                    done[record] = features
                    bar.update()
                self._write(done)
                computed.update(done)
        process.wait_for_everyone()
        return found | computed if shares == 1 else self._read(records)

    def _encode(self, records: Sequence[Record]) -> Iterator[tuple[Record, torch.Tensor]]:
        clip, normalization = self.clip.model, (self.clip.mean, self.clip.std)
        crop = partial(_crop, self.dataset, normalization, self.crop_ratio, self.region_size)
        for batch in DataLoader(records, _BATCH_SIZE, num_workers=self.workers, collate_fn=crop):
            images = torch.stack([image for _, image, _ in batch]).to(clip.device)
            for features, (record, _, masks) in zip(patch_features(clip, images), batch):
                patches = patch_masks(masks.to(features), clip.vision_model.config.patch_size)
                yield record, masked_means(features, patches).cpu()

    def _read(self, records: Sequence[Record]) -> dict[Record, torch.Tensor]:
        missing, found = {_name(record): record for record in records}, {}
        for path in sorted(self.folder.glob("[!.]*.safetensors")) if self.folder is not None else ():
            with safe_open(path, framework="pt") as file:
                for name in missing.keys() & file.keys():
                    found[missing[name]] = file.get_tensor(name)
        return found

    def _write(self, features: dict[Record, torch.Tensor]) -> None:
        if self.folder is not None:
            with atomic_write(self.folder / f"{uuid.uuid4().hex}.safetensors") as temporary:
                save_file({_name(record): tensor for record, tensor in features.items()}, temporary)

    def _key(self) -> str:
        values = self.dataset.fingerprint, self.crop_ratio, self.region_size, self.clip.mean, self.clip.std
        digest = hashlib.sha256(repr(values).encode())
        for module in (self.clip.model.vision_model, self.clip.model.visual_projection):
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{name}|{tensor.dtype}".encode())
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]


def _crop(
    dataset: PartDataset,
    normalization: tuple[Sequence[float], Sequence[float]],  # of CLIP; not CLIP itself, which workers would copy
    ratio: float,
    region_size: int,
    records: Sequence[Record],
) -> list[tuple[Record, torch.Tensor, torch.Tensor]]:
    """Objects cropped for CLIP: the image (3, s, s) and masks (1 + parts, s, s) of the object and its parts."""
    crops = []
    for record in records:
        sample = dataset.read(record)
        pixels = torch.from_numpy(np.array(sample.image)).permute(2, 0, 1) / 255
        object_mask = torch.from_numpy(sample.object_map == record.object_id)
        ids = np.array(dataset.parts_in(record))
        part_masks = torch.from_numpy(sample.part_map == ids[:, None, None])
        pixels = clip_normalized(pixels, (0, 0, 0), (1, 1, 1), *normalization)
        image, whole, parts = object_region(pixels, object_mask, part_masks, ratio, region_size)
        crops.append((record, image, torch.cat([whole, parts])))
    return crops


def _name(record: Record) -> str:
    return f"{record.split}/{record.row}/{record.object_id}/{record.instance}"
