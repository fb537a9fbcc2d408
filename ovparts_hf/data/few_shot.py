"""Few-shot training images drawn at random, as a file that can be shared; the release has a list of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigurationError
from ..utils.arguments import check_not_negative, check_positive
from ..utils.files import atomic_write, read_json
from .part_dataset import PartDataset
from .records import Record

FORMAT = "ovparts-few-shot"
VERSION = 1


@dataclass(frozen=True)
class FewShotList:
    """Images to train on, in alphabetical order, and how they were drawn from a dataset, named by its taxonomy."""

    dataset: str
    shots: int
    seed: int
    image_ids: tuple[str, ...]

    @classmethod
    def draw(cls, dataset: PartDataset, shots: int, seed: int = 0) -> FewShotList:
        """Draws training images so that each part is labelled in at least K = `shots` of them.

        Parts are taken from the rarest to the most frequent. While fewer than K of the images drawn so far hold a part,
        a random one of the others that do is added; a part in fewer than K training images gets all of them. The order
        in which the dataset stores its images does not matter.
        """
        check_positive(shots=shots)
        check_not_negative(seed=seed)
        images = _images_by_part(dataset)
        if not images:
            raise ConfigurationError(f"The training split of {dataset.taxonomy.name!r} has no labelled image.")
        names = sorted(set().union(*images.values()))
        rank = dict(zip(names, np.random.default_rng(seed).permutation(len(names)).tolist()))
        chosen: set[str] = set()
        for part in sorted(images, key=lambda part: (len(images[part]), part)):
            others = sorted(images[part] - chosen, key=rank.__getitem__)
            chosen.update(others[: max(0, shots - len(images[part] & chosen))])
        return cls(dataset.taxonomy.name, shots, seed, tuple(sorted(chosen)))

    @classmethod
    def from_json(cls, path: str | Path) -> FewShotList:
        """Reads what `to_json` wrote; another file is a `ConfigurationError`."""
        advice = "Make one with `ovparts few-shot`."
        data = read_json(path, ConfigurationError, advice)
        try:
            if (data.pop("format"), data.pop("version")) != (FORMAT, VERSION):
                raise ValueError(f"it is not of format {FORMAT!r}, version {VERSION}")
            check_not_negative(shots=data["shots"], seed=data["seed"])
            return cls(**{**data, "image_ids": tuple(data["image_ids"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{path} is not a list of few-shot images ({error}). {advice}") from error

    def to_json(self, path: str | Path) -> None:
        """Writes the list; an existing file is replaced at once or not at all."""
        text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)
        with atomic_write(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def apply(self, dataset: PartDataset) -> None:
        """Makes these the few-shot images of a dataset, in place of those of the release."""
        missing = sorted(set(self.image_ids) - set(dataset.splits["train"]["image_id"]))
        if self.dataset != dataset.taxonomy.name or missing or not self.image_ids:
            raise ConfigurationError(
                f"The few-shot images are {len(self.image_ids)} of {self.dataset!r}; {len(missing)} of them are no "
                f"training images of {dataset.taxonomy.name!r}{f', such as {missing[:3]}' if missing else ''}."
            )
        dataset.few_shot_image_ids = frozenset(self.image_ids)
        dataset.few_shot_source = str(self)

    def __str__(self) -> str:
        digest = hashlib.sha256("\n".join(self.image_ids).encode()).hexdigest()[:12]
        return f"{self.shots} shots, seed {self.seed}: {len(self.image_ids)} images, sha256-{digest}"


def _images_by_part(dataset: PartDataset) -> dict[int, set[str]]:
    images: dict[int, set[str]] = {}
    for row, image_id in enumerate(dataset.splits["train"]["image_id"]):
        for part in dataset.parts_in(Record("train", row)):
            images.setdefault(part, set()).add(image_id)
    return images
