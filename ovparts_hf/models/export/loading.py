"""Loading an export as a model of its family."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers.utils.hub import cached_file

from ...errors import CheckpointError
from ...utils.files import brief, read_json
from ..auto import family_of, model_class
from ..configuration_utils import PartSegmentationConfig
from ..modeling_utils import PartSegmentationModel
from .exported import runner_of
from .formats import MANIFEST, TENSORS, call_in_thread, check_format, runner_options


def load_exported(name_or_path: str | Path, config: PartSegmentationConfig) -> PartSegmentationModel:
    """Loads what `export_model` wrote, from a folder or the Hub, onto the CPU.

    Raises:
        ConfigurationError: A package that runs it is missing.
        CheckpointError: The folder holds another kind of export, or files that are not its own.
    """
    export_format = config.export_format
    check_format(export_format)
    from transformers.exporters import ExportedModel

    _check_manifest(read_json(cached_file(name_or_path, MANIFEST), CheckpointError), export_format)
    options = {"device": "cpu", "trust_remote_code": False, **runner_options(export_format)}
    graphs = call_in_thread(ExportedModel.from_pretrained, name_or_path, **options)
    tensors = load_file(cached_file(name_or_path, TENSORS))
    return exported_class(family_of(config))(config, graphs, tensors)


def _check_manifest(manifest: Any, export_format: str) -> None:
    """Refuses an export of another format, of which one would run code, and files outside of its folder."""
    try:
        stored, files = manifest["export_format"], [entry["file"] for entry in manifest["components"].values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{MANIFEST} is not that of an export. Export the model again.") from error
    if stored != export_format:
        raise CheckpointError(
            f"config.json says {export_format!r}, {MANIFEST} {brief(stored)}. Export the model again."
        )
    for file in files:
        if not isinstance(file, str) or Path(file).name != file or "\\" in file:
            raise CheckpointError(f"{MANIFEST} names {brief(file)}; it may only name files in the same folder.")


@cache
def exported_class(family: str) -> type[PartSegmentationModel]:
    """The class of exports of a family's models."""
    kind = model_class(family)
    return type(f"Exported{kind.__name__}", (runner_of(kind), kind), {"__doc__": f"A `{kind.__name__}` as exported."})
