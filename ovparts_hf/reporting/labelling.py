"""Which images to label next: those about which a model is least certain, on a contact sheet and as files to label."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from ..errors import ConfigurationError, ImageError
from ..inference.captions import GAP, INK, LINE, PAPER, font, shorten
from ..inference.interchange.formats import FORMATS
from ..utils.arguments import check_positive
from ..utils.files import atomic_folder, atomic_write, user_path
from ..utils.images import find_images_below

if TYPE_CHECKING:
    from ..inference.ranking import Ranking
    from ..inference.result import PartSegmentation
    from ..inference.segmenter import PartSegmenter
    from ..taxonomy.vocabulary import VocabularyInput

logger = logging.getLogger(__name__)

COUNT = 20
"""How many images are suggested by default."""
_CLOSE = 0.5  # a runner-up with at least this share of the best score competes with it
_PANEL = 320  # pixels of a side on the sheet
_COLUMNS = 4


@dataclass(frozen=True)
class LabellingCandidate:
    """How much could be learned from labelling an image.

    Attributes:
        image: Name of its file, below the folder.
        uncertainty: 0 to 1: how little the best class of a pixel is ahead of the next, a mean over the pixels of parts
            and of those where a part is at least half as likely as none; 1 for an image without any.
        confusion: 0 to 1: the share of the pixels of parts for which another part is at least half as likely.
        confused: The two parts that compete most, or none.
        found: How many parts were found.
    """

    image: str
    uncertainty: float
    confusion: float
    confused: tuple[str, str] | None
    found: int

    @property
    def score(self) -> float:
        """What images are ordered by: the mean of uncertainty and confusion."""
        return (self.uncertainty + self.confusion) / 2


def suggest_labelling(
    segmenter: PartSegmenter,
    folder: str | Path,
    out: str | Path,
    *,
    count: int = COUNT,
    parts: VocabularyInput | None = None,
    formats: Sequence[str] = ("coco",),
    overwrite: bool = False,
    progress: bool = True,
) -> list[LabellingCandidate]:
    """Orders the images of a folder by how much could be learned from labelling them, the most first.

    Args:
        segmenter: The model to be improved.
        folder: Images, also in subfolders. What cannot be read is left out with a warning.
        out: Folder to make: `images.csv` and `images.json` list all images in order, `contact_sheet.png` shows the
            first `count` as the model sees them, and files for labelling tools hold what it found in these, to be
            corrected there instead of drawn anew; `ovparts prepare custom` reads the corrected files.
        count: How many images are suggested.
        parts: What to look for, as in calling the segmenter; None for the vocabulary of the model.
        formats: Files to write: "coco", "cvat", "labelstudio".
        overwrite: Whether to replace an earlier suggestion in `out`.
        progress: Whether to show a bar.

    Returns:
        All images, in order.

    Raises:
        ConfigurationError: There is no image, `out` holds something else, or an option is out of range.
        OVPartsError: The model cannot be used so.
    """
    folder, out = user_path(folder), user_path(out)
    check_suggestion(count, formats)
    check_labelling_target(out, overwrite)
    files = images_to_label(folder, out)
    segmenter.prepare(parts)
    candidates: list[LabellingCandidate] = []
    for file in tqdm(files, desc="Looking for what to label", unit="image", disable=not progress):
        try:
            result = segmenter(file, parts, keep_ranking=True)
        except ImageError as error:
            logger.warning("%s is left out: %s", file, error)
        else:
            candidates.append(judge(file.relative_to(folder).as_posix(), result))
    if not candidates:
        raise ConfigurationError(f"None of the {len(files)} images in {folder} can be read.")
    candidates.sort(key=lambda candidate: -candidate.score)
    chosen = {each.image: segmenter(folder / each.image, parts) for each in candidates[:count]}
    with atomic_folder(out) as temporary:
        _write_lists(temporary, candidates)
        draw_sheet([_panel(each, chosen[each.image]) for each in candidates[:count]]).save(
            temporary / "contact_sheet.png"
        )
        for name, text in _annotations(chosen, formats).items():
            (temporary / name).write_text(text, encoding="utf-8")
    return candidates


def check_suggestion(count: int, formats: Sequence[str]) -> None:
    """Refuses options of `suggest_labelling` that are out of range."""
    check_positive(count=count)
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ConfigurationError(f"formats holds {unknown}; choose some of {sorted(FORMATS)}.")


def images_to_label(folder: Path, out: Path | None = None) -> list[Path]:
    """The images in a folder, except in `out`; none is a `ConfigurationError`."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder; give one with images to choose from.")
    files = find_images_below(folder, out)
    if not files:
        raise ConfigurationError(f"There is no image in {folder}.")
    return files


def check_labelling_target(out: Path, overwrite: bool) -> None:
    """Refuses a folder with other files, and one with an earlier suggestion unless it may be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "images.json").is_file():
        raise ConfigurationError(f"{out} holds other files; name a new or empty folder.")
    if not overwrite:
        raise ConfigurationError(f"{out} holds an earlier suggestion; add --overwrite, or name another folder.")


def judge(name: str, result: PartSegmentation) -> LabellingCandidate:
    """Scores an image whose result was made with `keep_ranking=True`."""
    ids, scores = result.ranking.ids, result.ranking.scores.clip(0)
    best, next_best = scores[0], scores[1]
    close = next_best >= _CLOSE * best
    is_part = ids[0] >= 0
    contested = is_part | (close & (ids[1] >= 0))
    margin = np.clip(best - next_best, 0, 1)
    uncertainty = float(1 - margin[contested].mean()) if contested.any() else 1.0
    rivals = is_part & close & (ids[1] >= 0)
    confusion = float(rivals.sum() / is_part.sum()) if is_part.any() else 0.0
    pair = _most_confused(result.ranking, rivals)
    confused = None if pair is None else (result.classes[pair[0]], result.classes[pair[1]])
    return LabellingCandidate(name, round(uncertainty, 4), round(confusion, 4), confused, len(result.found))


def _most_confused(ranking: Ranking, rivals: np.ndarray) -> tuple[int, int] | None:
    """The two classes that compete in most pixels, the smaller id first."""
    if not rivals.any():
        return None
    pairs, counts = np.unique(np.sort(ranking.ids[:2, rivals], axis=0), axis=1, return_counts=True)
    first, second = pairs[:, counts.argmax()].tolist()
    return first, second


def _write_lists(folder: Path, candidates: Sequence[LabellingCandidate]) -> None:
    rows = [{"rank": rank, **asdict(each), "score": round(each.score, 4)} for rank, each in enumerate(candidates, 1)]
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    (folder / "images.json").write_text(text + "\n", encoding="utf-8")
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "confused": " / ".join(row["confused"] or ())} for row in rows)


def _annotations(results: Mapping[str, PartSegmentation], formats: Sequence[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for name in formats:
        annotations = FORMATS[name]()
        for image, result in results.items():
            annotations.add(result, image, result.instances())
        files |= annotations.files()
    return files


def _panel(candidate: LabellingCandidate, result: PartSegmentation) -> tuple[Image.Image, Sequence[str]]:
    confused = " or ".join(candidate.confused) + "?" if candidate.confused else ""
    scores = f"uncertain {candidate.uncertainty:.2f}, confused {candidate.confusion:.2f}"
    return result.overlay(legend=False, labels=True, longest_edge=2 * _PANEL), (candidate.image, scores, confused)


def draw_sheet(panels: Sequence[tuple[Image.Image, Sequence[str]]]) -> Image.Image:
    """Images in rows, each with lines of text below, as one RGB image."""
    columns = min(_COLUMNS, len(panels))
    shown = [(_to_panel(image), text) for image, text in panels]
    rows = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    tallest = [max(image.height for image, _ in row) for row in rows]
    captions = LINE * max(len(text) for _, text in panels) + GAP
    size = columns * (_PANEL + GAP) + GAP, sum(tallest) + len(rows) * (captions + GAP) + GAP
    sheet = Image.new("RGB", size, PAPER)
    draw, top = ImageDraw.Draw(sheet), GAP
    for row, height in zip(rows, tallest):
        for column, (image, text) in enumerate(row):
            left = GAP + column * (_PANEL + GAP)
            sheet.paste(image, (left, top + height - image.height))
            for line, words in enumerate(text):
                draw.text((left, top + height + 2 + line * LINE), shorten(words, _PANEL), fill=INK, font=font())
        top += height + captions + GAP
    return sheet


def _to_panel(image: Image.Image) -> Image.Image:
    scale = _PANEL / max(image.size)
    return image.resize(tuple(max(1, round(side * scale)) for side in image.size), Image.Resampling.LANCZOS)


def write_sheet(path: Path, panels: Sequence[tuple[Image.Image, Sequence[str]]]) -> None:
    """Writes `draw_sheet` as a PNG; an existing file is replaced at once or not at all."""
    with atomic_write(path) as temporary:
        draw_sheet(panels).save(temporary, format="PNG")
