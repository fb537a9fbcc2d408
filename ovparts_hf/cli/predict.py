"""The command that segments a user's own images."""

from __future__ import annotations

import glob
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, ImageError
from ..utils.files import user_path
from .base import SEGMENTER, argument, command
from .failures import check_writable

if TYPE_CHECKING:
    from ..inference.result import PartSegmentation
    from ..taxonomy.vocabulary import VocabularyInput


@command(
    "find parts in images",
    'ovparts predict photo.jpg --parts "dog: head, ear, tail" --out outputs --overlay --json',
    argument("images", nargs="+", help="files, folders, globs or URLs"),
    argument(
        "--parts",
        help='what to look for: "dog: head, ear; bus: wheel", or a JSON file like {"dog": ["head", "ear"]} '
        'or ["dog\'s head", "a red door"] '
        "(default: the model's own vocabulary)",
    ),
    argument("--model", default="toy-trained", help="folder or Hub id; the default knows drawn objects only"),
    argument("--out", type=user_path, default=Path("outputs/predict"), help="folder"),
    argument("--overlay", action="store_true", help="write overlay.png beside label_map.png"),
    argument("--json", action="store_true", help="write parts.json: scores, areas, masks as COCO's RLE"),
    argument("--threshold", type=float, help="score that a part must exceed, from 0 to 1"),
    argument("--top-k", type=int, help="how many parts may be found"),
    argument("--objects", help="model that finds the objects whose parts are named: folder or Hub id"),
    *SEGMENTER,
    argument("--device", help="where the model runs (default: the accelerator, if there is one)"),
    argument(
        "--runtime",
        choices=["torch", "onnx", "openvino"],
        help="what runs the model; other than torch for a folder of `ovparts export` (default: what it is made for)",
    ),
    argument("--skip-existing", action="store_true", help="skip images whose results exist already"),
)
def _predict(options: Namespace) -> int:
    from tqdm import tqdm

    from ..evaluation.objects import read_names
    from ..inference.segmenter import PartSegmenter

    folders = result_folders(list(find_images(options.images, options.out)), options.out)
    if options.skip_existing:
        files = ["label_map.png", *["overlay.png"] * options.overlay, *["parts.json"] * options.json]
        folders = {
            image: folder for image, folder in folders.items() if not all((folder / file).is_file() for file in files)
        }
    parts = _read_parts(options.parts)
    check_writable(options.out)
    segmenter = PartSegmenter.from_pretrained(
        options.model,
        options.device,
        object_segmenter=options.objects,
        prompt=options.prompt,
        refiner=options.refiner,
        class_names=None if options.class_names is None else read_names(options.class_names),
        runtime=options.runtime,
    )
    segmenter.prepare(parts, threshold=options.threshold, top_k=options.top_k)
    failed = 0
    for image, folder in tqdm(folders.items(), desc="Segmenting", unit="image"):
        try:
            result = segmenter(image, parts, threshold=options.threshold, top_k=options.top_k)
            result.save(folder, options.overlay, options.json)
        except (ImageError, OSError, MemoryError) as error:
            tqdm.write(f"ovparts: {error or f'{folder.name} needs too much memory.'}", file=sys.stderr)
            failed += 1
        else:
            tqdm.write(f"{folder}: {summary(result)}", file=sys.stdout)
    if failed:
        print(f"ovparts: {failed} of {len(folders)} images failed, see above.", file=sys.stderr)
    return 1 if failed else 0


def summary(result: PartSegmentation) -> str:
    """The parts that were found, largest first, with their shares of the image."""
    areas = sorted(((area, name) for name, area in result.areas().items() if area), reverse=True)
    found = [f"{name} {100 * area / result.label_map.size:.1f} %" for area, name in areas]
    return ", ".join(found) or "none of the parts"


def find_images(sources: Sequence[str], out: Path) -> Iterator[tuple[str, Path]]:
    """The images of files, folders, globs and URLs, except in `out`, each with a path to name its results by."""
    for source in sources:
        path = user_path(source)
        if source.lower().startswith(("http://", "https://")):
            name = Path(unquote(urlsplit(source).path)).name
            yield source, Path(name if name.strip(".") else "image")
        elif os.path.isdir(path):  # noqa: PTH112  is False, where pathlib raises, for a name that is too long
            files = [(str(file), file.relative_to(path)) for file in _images_below(path, out)]
            if not files:
                raise ConfigurationError(f"There is no image in {source}.")
            yield from files
        elif os.path.exists(path) or not glob.has_magic(source):  # noqa: PTH110
            yield str(path), Path(path.name)
        else:
            matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  may be absolute
            matches = [file for file in matches if file.is_file()]
            if not matches:
                raise ConfigurationError(f"Nothing matches {source!r}.")
            yield from ((str(file), Path(file.name)) for file in matches)


def result_folders(images: Sequence[tuple[str, Path]], out: Path) -> dict[str, Path]:
    """Gives each image a folder of its own: its name without the suffix if that is unique, or else with it."""
    names = dict(reversed(images))  # the first name of an image that is listed twice
    stems = Counter(name.with_suffix("") for name in names.values())
    folders: dict[str, Path] = {}
    used: set[Path] = set()
    for image in dict.fromkeys(image for image, _ in images):
        name, stem = names[image], names[image].with_suffix("")
        folder = preferred = stem if stems[stem] == 1 else name
        number = 1
        while folder in used:
            number += 1
            folder = preferred.with_name(f"{preferred.name}-{number}")
        used.add(folder)
        folders[image] = out / folder
    return folders


def _images_below(folder: Path, out: Path) -> list[Path]:
    from ..utils.images import image_suffixes

    suffixes = image_suffixes()
    files = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    visible = (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in visible if out.resolve() not in path.resolve().parents)


def _read_parts(text: str | None) -> VocabularyInput | None:
    from ..taxonomy.vocabulary import parse_parts, read_parts

    if text is None:
        return None
    return read_parts(text) if text.endswith(".json") else parse_parts(text)
