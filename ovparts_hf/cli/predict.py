"""The command that segments a user's own images and videos."""

from __future__ import annotations

import sys
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, ImageError
from ..utils.arguments import check_positive
from ..utils.files import atomic_write, user_path
from .base import SEGMENTER, argument, command
from .failures import check_writable
from .sources import find_images, is_video, result_folders
from .totals import Totals, describe_parts

if TYPE_CHECKING:
    from PIL import Image

    from ..inference.interchange.formats import AnnotationFile
    from ..inference.result import PartSegmentation
    from ..taxonomy.vocabulary import VocabularyInput

_FORMATS = ("coco", "cvat", "labelstudio")
_GROUPINGS = ("component", "object", "class")


@command(
    "find parts in images and videos",
    'ovparts predict photo.jpg --parts "dog: head, ear, tail" --out outputs --labels --json',
    argument("images", nargs="+", help="files, folders, globs or URLs of images; files or globs of videos"),
    argument(
        "--parts",
        action="append",
        help='what to look for: "dog: head, ear; bus: wheel", or a JSON file like {"dog": ["head", "ear"]} '
        'or ["dog\'s head", "a red door"] '
        "(default: the model's own vocabulary); several times: all of them",
    ),
    argument("--model", default="toy-trained", help="folder or Hub id; the default knows drawn objects only"),
    argument("--out", type=user_path, default=Path("outputs/predict"), help="folder"),
    argument("--overlay", action=BooleanOptionalAction, default=True, help="write overlay.png, of a video overlay.mp4"),
    argument("--labels", action="store_true", help="write the names on the regions of the overlay"),
    argument("--json", action="store_true", help="write parts.json: scores, areas, masks as COCO's RLE"),
    argument("--format", choices=_FORMATS, help="write one file of all images for this labelling tool into --out"),
    argument("--instances", choices=_GROUPINGS, default="component", help="what makes one annotation in that file"),
    argument("--min-area", type=int, default=1, help="pixels that an annotation in that file has at least"),
    argument("--threshold", type=float, help="score that a part must exceed, from 0 to 1"),
    argument("--top-k", type=int, help="how many parts may be found"),
    argument(
        "--objects",
        default="auto",
        help="what finds the objects whose parts are named: a model (folder or Hub id), "
        '"model" (the same one), "none" (parts are looked for everywhere); "auto" is "model" for a stock CLIPSeg and '
        '"none" for others',
    ),
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
    from ..inference.interchange.formats import FORMATS
    from ..inference.segmenter import PartSegmenter

    sources = list(find_images(options.images, options.out))
    folders = result_folders(sources, options.out)
    _check(options, folders)
    if options.skip_existing:
        folders = {source: folder for source, folder in folders.items() if not _exists(source, folder, options)}
    parts = read_parts_option(options.parts)
    check_writable(options.out)
    segmenter = PartSegmenter.from_pretrained(
        options.model,
        options.device,
        object_segmenter=None if options.objects == "none" else options.objects,
        prompt=options.prompt,
        refiner=options.refiner,
        class_names=None if options.class_names is None else read_names(options.class_names),
        runtime=options.runtime,
    )
    segmenter.prepare(parts, threshold=options.threshold, top_k=options.top_k)
    segment = partial(segmenter, parts=parts, threshold=options.threshold, top_k=options.top_k)
    annotations = FORMATS[options.format]() if options.format else None
    names, totals, failed = dict(reversed(sources)), Totals(), 0
    for source, folder in tqdm(folders.items(), desc="Segmenting", unit="image"):
        try:
            if is_video(source):
                described = _segment_video(segment, Path(source), folder, options, totals)
            else:
                result = segment(source)
                result.save(folder, options.overlay, options.json, options.labels)
                _add(annotations, result, names[source], options)
                totals.add(result)
                described = describe_parts(result)
        except (ImageError, OSError, MemoryError) as error:
            tqdm.write(f"ovparts: {error or f'{folder.name} needs too much memory.'}", file=sys.stderr)
            failed += 1
        else:
            tqdm.write(f"{folder}: {described}", file=sys.stdout)
    for name, text in ({} if annotations is None else annotations.files()).items():
        with atomic_write(options.out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(totals.table())
    if failed:
        print(f"ovparts: {failed} of {len(folders)} images failed, see above.", file=sys.stderr)
    return 1 if failed else 0


def _check(options: Namespace, folders: Mapping[str, Path]) -> None:
    """Refuses options that do not go together, before the work."""
    check_positive(min_area=options.min_area)
    videos = [source for source in folders if is_video(source)]
    if videos:
        from ..inference.video import check_installed

        check_installed()
    if options.format and videos:
        raise ConfigurationError(f"--format is for images, and {videos[0]} is a video. Leave one of them out.")
    if options.format and options.skip_existing:
        raise ConfigurationError(
            "The file of --format would lack the images that --skip-existing skips. Leave one of them out."
        )


def _exists(source: str, folder: Path, options: Namespace) -> bool:
    if is_video(source):
        files = ["label_maps", *["overlay.mp4"] * options.overlay, *["parts.jsonl"] * options.json]
    else:
        files = ["label_map.png", *["overlay.png"] * options.overlay, *["parts.json"] * options.json]
    return all((folder / file).exists() for file in files)


def _add(annotations: AnnotationFile | None, result: PartSegmentation, name: Path, options: Namespace) -> None:
    if annotations is not None:
        annotations.add(result, name.as_posix(), result.instances(options.instances, options.min_area))


def _segment_video(
    segment: Callable[[Image.Image], PartSegmentation], source: Path, folder: Path, options: Namespace, totals: Totals
) -> str:
    from tqdm import tqdm

    from ..inference.video import VideoResult, frame_count, read_frames

    frames = tqdm(read_frames(source), desc=source.name, total=frame_count(source), unit="frame", leave=False)
    count = 0
    with VideoResult(folder, options.overlay, options.json, options.labels) as written:
        for image, seconds in frames:
            result = segment(image)
            written.add(result, seconds)
            totals.add(result)
            count += 1
    return f"{count} frames"


def read_parts_option(texts: Sequence[str] | None) -> VocabularyInput | None:
    """What `--parts` names, each time words or a JSON file."""
    from ..taxonomy.vocabulary import Vocabulary, parse_parts, read_parts

    if texts is None:
        return None
    named = [read_parts(text) if text.endswith(".json") else parse_parts(text) for text in texts]
    return named[0] if len(named) == 1 else [name for names in named for name in Vocabulary.of(names).classes]
