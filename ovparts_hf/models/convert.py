"""From a checkpoint of the original to a folder that `from_pretrained` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..inference.vocabulary import store_vocabulary
from ..taxonomy import ADE20K_PART_234, PASCAL_PART_116
from ..utils.files import atomic_folder
from .catseg.convert_catseg import convert_catseg
from .checkpoints import KeyReport
from .clipseg.convert_clipseg import convert_clipseg
from .loading import load_config, load_processor
from .maskformer.convert_maskformer import convert_maskformer
from .resnet import RESNETS
from .zsseg.convert_zsseg import convert_zsseg

CONVERTERS = {
    "clipseg": convert_clipseg,
    "catseg": convert_catseg,
    "zsseg": convert_zsseg,
    "maskformer": convert_maskformer,
}
VOCABULARIES = {taxonomy.name: taxonomy for taxonomy in (PASCAL_PART_116, ADE20K_PART_234)}


def convert(
    family: str,
    checkpoint: str | Path,
    out: str | Path,
    base: str | Path | None = None,
    *,
    vocabularies: Sequence[str] = (),
    trained_on: str | None = None,
    backbone: str | None = None,
    prompts: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> KeyReport:
    """Converts a checkpoint with its processor.

    Args:
        family: One of `CONVERTERS`.
        checkpoint: `.pth` or `.safetensors`, with the original's key names.
        out: Folder to make.
        base: Folder or Hub id of the stock model that the model is built on; None for MaskFormer.
        vocabularies: Keys of `VOCABULARIES`, whose part classes become the model's own vocabulary. MaskFormer: the one
            that it was trained on.
        trained_on: ZSseg: a key of `VOCABULARIES` whose seen parts the model was trained on; None for no seen classes.
        backbone: ZSseg and MaskFormer: a key of `RESNETS`; None for what the configuration has anyway (R50).
        prompts: ZSseg: the original's separate checkpoint of tuned prompts.
        settings: Fields of the configuration; they count most.

    Returns:
        What became of each key of the checkpoint.

    Raises:
        OVPartsError: The options do not fit the family, or the checkpoint does not fit the configuration.
    """
    _check_options(family, vocabularies, trained_on, backbone, prompts)
    chosen = {**_data_settings(family, vocabularies, trained_on), **(settings or {})}
    if backbone is not None:
        chosen["backbone_config"] = RESNETS[backbone] | chosen.get("backbone_config", {})
    config = load_config(base, family, **chosen)
    processor = load_processor(base, family, config)
    model, report = CONVERTERS[family](checkpoint, config, *([] if prompts is None else [prompts]))
    names = dict.fromkeys(name for each in vocabularies for name in VOCABULARIES[each].part_classes)
    if names:
        store_vocabulary(model, processor, list(names))
    with atomic_folder(Path(out)) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return report


def _check_options(
    family: str,
    vocabularies: Sequence[str],
    trained_on: str | None,
    backbone: str | None,
    prompts: str | Path | None,
) -> None:
    if prompts is not None and family != "zsseg":
        raise ConfigurationError(f"A {family} model has no learned prompts; --prompts is for zsseg.")
    if trained_on is not None and family != "zsseg":
        raise ConfigurationError(f"A {family} model does not tell seen classes apart; --trained-on is for zsseg.")
    if backbone is not None and family not in ("zsseg", "maskformer"):
        raise ConfigurationError(f"The backbone of a {family} model is fixed; --backbone is for zsseg and maskformer.")
    if family == "maskformer" and len(vocabularies) != 1:
        raise ConfigurationError("A maskformer model has a closed vocabulary: give exactly one with --vocabulary.")


def _data_settings(family: str, vocabularies: Sequence[str], trained_on: str | None) -> dict[str, Any]:
    """What the configuration says about the data that the model was trained on."""
    if trained_on is not None:
        return {"seen_class_names": list(VOCABULARIES[trained_on].seen().part_classes)}
    if family == "maskformer":
        names = VOCABULARIES[vocabularies[0]].part_classes
        return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    return {}
