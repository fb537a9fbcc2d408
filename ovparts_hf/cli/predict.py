"""The command that segments a user's own images."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from ..errors import ConfigurationError, ImageError, OVPartsError
from ..inference.result import PartSegmentation
from ..inference.segmenter import PartSegmenter
from ..models.loading import TRAINED_TOY
from ..taxonomy import PartTaxonomy
from ..taxonomy.vocabulary import Words, parse_parts
from ..utils.images import image_suffixes
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds this command to the parser."""
    predict = command(
        commands,
        _predict,
        "find parts in images",
        'ovparts predict photo.jpg --parts "dog: head, ear, tail" --out outputs --overlay --json',
    )
    predict.add_argument("images", nargs="+", help="files, folders, globs or URLs")
    predict.add_argument(
        "--parts",
        help='what to look for: "dog: head, ear; bus: wheel", or a JSON file like {"dog": ["head", "ear"]} '
        "(default: the model's own vocabulary)",
    )
    predict.add_argument(
        "--model", default=TRAINED_TOY, help="folder or Hub id (default: %(default)s, which knows drawn objects only)"
    )
    predict.add_argument("--out", type=Path, default=Path("outputs/predict"), help="folder (default: %(default)s)")
    predict.add_argument("--overlay", action="store_true", help="write overlay.png beside label_map.png")
    predict.add_argument("--json", action="store_true", help="write parts.json: scores, areas, masks as COCO's RLE")
    predict.add_argument("--threshold", type=float, help="score that a part must exceed, from 0 to 1")
    predict.add_argument("--top-k", type=int, help="how many parts may be found")
    predict.add_argument("--objects", help="model that finds the objects whose parts are named: folder or Hub id")
    predict.add_argument("--device", help="where the model runs (default: the accelerator, if there is one)")
    predict.add_argument("--skip-existing", action="store_true", help="leave out images that were done before")


def _predict(options: argparse.Namespace) -> int:
    targets = name_targets(list(find_images(options.images, options.out)), options.out)
    if options.skip_existing:
        written = ["label_map.png", *["overlay.png"] * options.overlay, *["parts.json"] * options.json]
        targets = {
            source: folder
            for source, folder in targets.items()
            if not all((folder / name).is_file() for name in written)
        }
    parts = _read_parts(options.parts)
    segmenter = PartSegmenter.from_pretrained(options.model, options.device, object_segmenter=options.objects)
    segmenter.prepare(parts, threshold=options.threshold, top_k=options.top_k)
    _make_writable(options.out)
    failed = 0
    for source, folder in tqdm(targets.items(), desc="Segmenting", unit="image"):
        try:
            result = segmenter(source, parts, threshold=options.threshold, top_k=options.top_k)
            result.save(folder, options.overlay, options.json)
        except (ImageError, OSError) as error:
            tqdm.write(f"ovparts: {error}", file=sys.stderr)
            failed += 1
        else:
            tqdm.write(f"{folder}: {summary(result)}", file=sys.stdout)
    if failed:
        print(f"ovparts: {failed} of {len(targets)} images failed, see above.", file=sys.stderr)
    return 1 if failed else 0


def summary(result: PartSegmentation) -> str:
    """The parts that were found, largest first, with their shares of the image."""
    areas = sorted(((area, name) for name, area in result.areas().items() if area), reverse=True)
    found = [f"{name} {100 * area / result.label_map.size:.1f} %" for area, name in areas]
    return ", ".join(found) or "none of the parts"


def find_images(words: Sequence[str], out: Path) -> Iterator[tuple[str, Path]]:
    """Lists what files, folders, globs and URLs stand for.

    Args:
        words: Of the command line. Of folders the files with a suffix of images count, also in folders below them.
        out: Nothing inside of it counts.

    Yields:
        Each image, and what its results are to be called.

    Raises:
        ConfigurationError: Some word stands for no image.
    """
    for word in words:
        path = Path(word).expanduser()
        if word.lower().startswith(("http://", "https://")):
            name = Path(unquote(urlsplit(word).path)).name
            yield word, Path(name if name.strip(".") else "image")
        elif os.path.isdir(path):  # noqa: PTH112  is False, where pathlib raises, for a name that is too long
            files = [(str(file), file.relative_to(path)) for file in _images_below(path, out)]
            if not files:
                raise ConfigurationError(f"There is no image in {word}.")
            yield from files
        elif os.path.exists(path) or not glob.has_magic(word):  # noqa: PTH110
            yield str(path), Path(path.name)
        else:
            files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  patterns may be absolute
            files = [file for file in files if file.is_file()]
            if not files:
                raise ConfigurationError(f"Nothing matches {word!r}.")
            yield from ((str(file), Path(file.name)) for file in files)


def name_targets(images: Sequence[tuple[str, Path]], out: Path) -> dict[str, Path]:
    """Gives each image a folder of its own: its name without the suffix, or more of it if that is taken."""
    names = dict(reversed(images))  # of an image that is named twice the first name counts
    stems = Counter(name.with_suffix("") for name in names.values())
    targets: dict[str, Path] = {}
    taken: set[Path] = set()
    for source in dict.fromkeys(source for source, _ in images):
        name = names[source]
        stem = name.with_suffix("")
        chosen = wanted = stem if stems[stem] == 1 else name
        number = 1
        while chosen in taken:
            number += 1
            chosen = wanted.with_name(f"{wanted.name}-{number}")
        taken.add(chosen)
        targets[source] = out / chosen
    return targets


def _images_below(folder: Path, out: Path) -> list[Path]:
    suffixes = image_suffixes()
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    visible = (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in visible if out.resolve() not in path.resolve().parents)


def _read_parts(words: str | None) -> Words | None:
    if words is None:
        return None
    if not words.endswith(".json"):
        return parse_parts(words)
    try:
        return PartTaxonomy.from_json(words)
    except OSError as error:
        raise OVPartsError(f"{words} cannot be read: {error}") from error


def _make_writable(folder: Path) -> None:
    """Finds out before the work whether results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can be written to {folder} ({error}). Name another folder by --out."
        ) from error
