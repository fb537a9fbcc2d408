"""From a checkpoint of the original to a folder that `from_pretrained` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..taxonomy import TAXONOMIES
from ..utils.files import atomic_folder
from .auto import FAMILIES, config_class, family_facts
from .checkpoints import KeyReport
from .configuration_utils import RESNETS
from .loading import ModelSource


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
    """Converts an original's checkpoint (`.pth` or `.safetensors`) with its processor into the folder `out`.

    Vocabularies, `trained_on` (whose seen parts) and `backbone` are keys of `TAXONOMIES` and `RESNETS`; the part
    classes of the vocabularies are stored with the model. `prompts` is a separate checkpoint of tuned prompts;
    `settings` are fields of the configuration, which count most.
    """
    _check_options(family, trained_on=trained_on, backbone=backbone, prompts=prompts)
    fields = {**_training_fields(family, vocabularies, trained_on), **(settings or {})}
    if backbone is not None:
        fields["backbone_config"] = RESNETS[backbone] | fields.get("backbone_config", {})
    source = ModelSource(base, family, for_training=True)
    config = source.config(**fields)
    processor = source.processor(config)
    converter = getattr(import_module(f".{family}.convert_{family}", __package__), f"convert_{family}")
    model, report = converter(checkpoint, config, *([] if prompts is None else [prompts]))
    names = list(dict.fromkeys(name for vocabulary in vocabularies for name in TAXONOMIES[vocabulary].part_classes))
    if names:
        model.store_vocabulary(processor, names)
    with atomic_folder(Path(out)) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return report


def _check_options(family: str, **options: Any) -> None:
    for name, value in options.items():
        if value is not None and name not in family_facts(family).convert_options:
            takers = [each for each in FAMILIES if name in family_facts(each).convert_options]
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{option} is for {' and '.join(takers)}; a {family} model has no use for it.")


def _training_fields(family: str, vocabularies: Sequence[str], trained_on: str | None) -> dict[str, Any]:
    """What the configuration says about the classes that the model was trained on."""
    kind = config_class(family)
    if trained_on is not None:
        return kind.training_fields(TAXONOMIES[trained_on].seen().part_classes)
    if not kind.has_closed_vocabulary:
        return {}
    if len(vocabularies) != 1:
        raise ConfigurationError(f"A {family} model has a closed vocabulary: give exactly one with --vocabulary.")
    return kind.training_fields(TAXONOMIES[vocabularies[0]].part_classes)
