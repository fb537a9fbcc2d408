"""The card of a model in a folder: one of the benchmark's by name, or one that was trained or converted here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ...errors import ConfigurationError
from ...evaluation.provenance import weights_fingerprint
from ...evaluation.results import BenchmarkResult
from ...models.auto import FAMILIES, config_class, family_facts
from ...taxonomy import TAXONOMIES, PartTaxonomy
from ...training import TrainArguments
from ...utils.files import atomic_write, public_name, read_json, user_path
from .benchmark import BENCHMARK_MODELS
from .eval_results import write_eval_results
from .facts import WEIGHTS, ModelFacts
from .rendering import model_card, without_machine

CARD_FILE = "README.md"
_ARGUMENTS_FILE = "arguments.yaml"
_SHOWN_ELSEWHERE = ("data", "output", "model", "task")
_ABOUT_THE_RUN = ("resume", "overwrite", "log_every", "save_every", "log_with", "workers")


def write_folder_card(
    folder: str | Path, results: Sequence[BenchmarkResult] = (), name: str | None = None, overwrite: bool = False
) -> Path:
    """Writes `folder_card` to README.md in the folder, and the results for the Hub's leaderboards to `.eval_results`.

    What a person wrote is replaced only with `overwrite`.
    """
    path = user_path(folder) / CARD_FILE
    card = folder_card(folder, results, name)
    if path.exists() and not overwrite and path.read_bytes() not in _generated(folder, card, name):
        advice = "Move what you wrote elsewhere, or overwrite it (--overwrite)."
        raise ConfigurationError(f"{path} exists and says something else. {advice}")
    write_eval_results(path.parent, results, overwrite)
    with atomic_write(path) as temporary:
        temporary.write_bytes(card.encode())
    return path


def _generated(folder: str | Path, card: str, name: str | None) -> list[bytes]:
    """The cards that were not edited by a person: this one, or one without results, or without a name."""
    return [card.encode(), *(folder_card(folder, (), other).encode() for other in dict.fromkeys((name, None)))]


def folder_card(folder: str | Path, results: Sequence[BenchmarkResult] = (), name: str | None = None) -> str:
    """The card of a model folder; the name, by default the folder's or the run's, may be that of a benchmark model."""
    given = user_path(folder)
    folder = given.resolve()
    config, family = _read_config(folder)
    recipe = folder.parent / _ARGUMENTS_FILE
    arguments = TrainArguments.from_recipe(recipe) if recipe.exists() else None
    name = name or default_name(folder)
    _check_name(name)
    _check_results(folder, results)
    facts = BENCHMARK_MODELS.get(name.split("/")[-1]) if arguments is None else None
    shown = given.as_posix() if public_name(str(given)) == str(given) else f"models/{name}"
    location = name if "/" in name else shown
    if facts is None:
        facts = _own_facts(name, location, family, config, arguments)
    elif facts.family != family:
        raise ConfigurationError(
            f"{name!r} is a {facts.family!r} model of the benchmark, but {folder} holds a {family!r} model. Give "
            "another name."
        )
    return model_card(replace(facts, name=name, location=location), results)


def _read_config(folder: Path) -> tuple[dict[str, Any], str]:
    families = {config_class(family).model_type: family for family in FAMILIES}
    if (folder / _ARGUMENTS_FILE).exists() and not (folder / "config.json").exists():
        raise ConfigurationError(f"{folder} is a training run; give one of its models, {folder / 'last'}.")
    try:
        config = read_json(folder / "config.json", ConfigurationError)
        model_type = config["model_type"]
    except (ConfigurationError, KeyError, TypeError) as error:
        fault = "has no config.json that names a model type"
        raise ConfigurationError(f"{folder} {fault}; give the folder of a model.") from error
    if model_type not in families:
        known = sorted(families)
        raise ConfigurationError(f"{folder} holds a model of type {model_type!r}; cards are written for {known}.")
    return config, families[model_type]


def default_name(folder: Path) -> str:
    """The folder's or the run's, without what the Hub does not allow: "zsseg+_r50" becomes "zsseg_r50"."""
    name = folder.parent.name if folder.name in ("last", "best") else folder.name
    return re.sub(r"[^A-Za-z0-9_.-]|(?<=[.-])[.-]", "", name).strip("-.") or "model"


def _check_name(name: str) -> None:
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigurationError(f"{name!r} cannot be the name of a repository; give another. {error}") from error


def _check_results(folder: Path, results: Sequence[BenchmarkResult]) -> None:
    """Refuses results of other weights than those in the folder, where results say whose they are."""
    for result in results:
        given = result.model.get("fingerprint")
        if given is not None and given != (found := weights_fingerprint(folder)):
            raise ConfigurationError(
                f"The result is of {result.model['name']!r} with weights {given}, but those in {folder} are {found}. "
                "Give results of this model."
            )


def _own_facts(
    name: str, location: str, family: str, config: dict[str, Any], arguments: TrainArguments | None
) -> ModelFacts:
    about = family_facts(family)
    masked = about.masked_title and config.get("object_mask_prompt", True)
    closed = config_class(family).has_closed_vocabulary
    names = config.get("id2label", {}).values() if closed else config.get("class_names")
    title, model = name.split("/")[-1], about.masked_title if masked else about.title
    facts = ModelFacts(name, title, family, "unknown", model, location, vocabulary=tuple(names or ()))
    if arguments is None:
        return facts
    tested = arguments.eval_data or arguments.data
    shown = tested if public_name(tested) == tested else f"data/{public_name(tested)}"
    starts = (arguments.model, arguments.backbone, *map(str, arguments.config.values()))
    return replace(
        facts,
        origin="trained",
        task=arguments.task,
        trained_on=_taxonomy(arguments.data),
        evaluations=((shown, f"--task {arguments.task}"),),
        starts_from=tuple(start for start in starts if start in WEIGHTS),
        arguments=_chosen(arguments),
    )


def _taxonomy(data: str) -> PartTaxonomy | None:
    """The vocabulary of a dataset that is still there, or of one that is named as those of this library are."""
    path = user_path(data) / "taxonomy.json"
    return PartTaxonomy.from_json(path) if path.is_file() else TAXONOMIES.get(Path(data).name)


def _chosen(arguments: TrainArguments) -> dict[str, Any]:
    """The model, and the arguments that are not the defaults."""
    values = asdict(arguments)
    defaults = asdict(TrainArguments(data=arguments.data, output=arguments.output, model=arguments.model))
    omitted = _SHOWN_ELSEWHERE + _ABOUT_THE_RUN
    changed = {key: value for key, value in values.items() if key not in omitted and value != defaults[key]}
    return without_machine({"model": arguments.model} | changed)
