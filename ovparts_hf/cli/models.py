"""The commands that make models of others: exported ones, and those of released checkpoints."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from ..models.auto import FAMILIES, family_facts
from ..taxonomy import TAXONOMIES
from ..utils.files import user_path
from .base import Argument, argument, command
from .failures import check_writable


@command(
    "write a model for ONNX Runtime or OpenVINO; the folder then serves predict and evaluate",
    "ovparts export onnx models/clipseg-pascal models/clipseg-pascal-onnx --int8",
    argument("format", choices=["onnx", "openvino"], help="what is to run it (pip install 'ovparts_hf[FORMAT]')"),
    argument("model", help="folder or Hub id"),
    argument("out", type=Path, help="folder to make"),
    argument("--int8", action="store_true", help="linear layers in 8 bits: smaller, and scores change"),
    argument("--fp16", action="store_true", help="weights stored in 16 bits, computed with in 32"),
    argument("--overwrite", action="store_true", help="replace an export that OUT holds"),
)
def _export(options: Namespace) -> None:
    from ..models.export.exporting import check_export, export_model
    from ..models.loading import load_model

    check_writable(options.out)
    how = {"int8": options.int8, "fp16": options.fp16, "overwrite": options.overwrite}
    check_export(options.out, options.format, **how)  # before a model is loaded
    model, processor = load_model(options.model)
    export_model(model, processor, options.out, options.format, **how)
    print(options.out)


RESNETS = ("resnet-50", "resnet-101", "resnet-101c")
_FACTS = {family: family_facts(family) for family in FAMILIES}


def _only_for(name: str, help: str, **settings: Any) -> Argument:
    """An option that only some families take, with whose names its help begins."""
    option = name.removeprefix("--").replace("-", "_")
    takers = ", ".join(family for family, facts in _FACTS.items() if option in facts.convert_options)
    return argument(name, help=f"{takers}: {help}", **settings)


def _base_help() -> str:
    """Which pretrained models the families are built on."""
    families: dict[str, list[str]] = {}
    for family, facts in _FACTS.items():
        families.setdefault(facts.base_title, []).append(family)
    without = f"; {', '.join(families.pop(''))}: none" if "" in families else ""
    bases = " or ".join(f"{title} ({', '.join(names)})" for title, names in families.items())
    return f"folder or Hub id of {bases}{without}"


@command(
    "turn a released checkpoint into a folder for from_pretrained",
    "ovparts convert clipseg model_final.pth models/clipseg-pascal --base CIDAS/clipseg-rd64-refined",
    argument("family", choices=FAMILIES, help="model family"),
    argument("checkpoint", type=user_path, help=".pth or .safetensors"),
    argument("out", type=user_path, help="folder to make"),
    argument("--base", help=_base_help()),
    argument(
        "--vocabulary",
        choices=TAXONOMIES,
        nargs="+",
        default=[],
        help="part classes to look for if given no others, encoded now and saved; for a closed vocabulary, those it "
        "was trained on",
    ),
    _only_for("--trained-on", "the dataset whose seen parts it was trained on", choices=TAXONOMIES),
    _only_for("--backbone", "detectron2's ResNet (resnet-50 if not given)", choices=RESNETS),
    _only_for("--prompts", "the original's separate checkpoint of tuned prompts", type=user_path),
    _only_for("--text-precision", "float16 encodes names as the original does", choices=["float32", "float16"]),
    argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="fields of the configuration, as YAML"),
)
def _convert(options: Namespace) -> None:
    from ..models.convert import convert
    from ..training.recipe import parse_overrides

    check_writable(options.out)
    settings = {} if options.text_precision is None else {"text_precision": options.text_precision}
    report = convert(
        options.family,
        options.checkpoint,
        options.out,
        options.base,
        vocabularies=options.vocabulary,
        trained_on=options.trained_on,
        backbone=options.backbone,
        prompts=options.prompts,
        settings={**settings, **parse_overrides(options.set)},
    )
    print(report.summary())
    print(options.out)
