"""Commands about models that exist already."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..models.auto import FAMILIES
from ..models.configuration_resnet import RESNETS
from ..models.convert import VOCABULARIES, convert
from ..training.recipe import parse_overrides
from .command import Commands, command


def add_commands(commands: Commands) -> None:
    """Adds these commands to the parser."""
    converting = command(
        commands,
        _convert,
        "turn a released checkpoint into a folder for from_pretrained",
        "ovparts convert clipseg model_final.pth models/clipseg-pascal --base CIDAS/clipseg-rd64-refined",
    )
    converting.add_argument("family", choices=FAMILIES, help="model family")
    converting.add_argument("checkpoint", type=Path, help=".pth or .safetensors")
    converting.add_argument("out", type=Path, help="folder to make")
    converting.add_argument(
        "--base",
        help="folder or Hub id of the stock model it is built on: CLIPSeg's for clipseg, CLIP for catseg and zsseg; "
        "maskformer needs none",
    )
    converting.add_argument(
        "--vocabulary",
        choices=VOCABULARIES,
        nargs="+",
        default=[],
        help="whose part classes the model answers with when it is given no words; encoded now and saved with it. "
        "maskformer: the one it was trained on",
    )
    converting.add_argument(
        "--trained-on", choices=VOCABULARIES, help="zsseg: whose seen parts it was trained on (default: none)"
    )
    converting.add_argument(
        "--backbone", choices=RESNETS, help="zsseg, maskformer: detectron2's ResNet that it has (default: resnet-50)"
    )
    converting.add_argument("--prompts", type=Path, help="zsseg: the original's separate checkpoint of tuned prompts")
    converting.add_argument(
        "--text-precision",
        choices=["float32", "float16"],
        help="float16 encodes class names as the original CATSeg does",
    )
    converting.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="fields of the configuration, as YAML"
    )


def _convert(options: argparse.Namespace) -> int:
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
    return 0
