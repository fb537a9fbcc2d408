"""Settings that can be read from a YAML file and from the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import yaml

from ..errors import ConfigurationError
from ..utils.files import user_path
from ..utils.suggest import did_you_mean
from .recipes import find_recipe

# A number type with its minimum.
NonNegativeInt = Annotated[int, 0]
PositiveInt = Annotated[int, 1]
NonNegativeFloat = Annotated[float, 0]

_OTHER_KEYS = {"classes_per_picture": "classes_per_image", "tracker": "log_with"}
"""Spellings of earlier versions, and others that mean the same."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Base of dataclasses that check and convert their fields by the annotations.

    Allowed are bool, int, float, str, `Any`, `Literal`, numbers annotated with their minimum, lists and dicts of these,
    and `X | None` with None last.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(self):
            value = _convert(field.name, getattr(self, field.name), hints[field.name])
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Builds arguments from a mapping; refuses keys that are unknown or missing, and values that cannot be used."""
        values, fields = with_current_names(values), dataclasses.fields(cls)
        known = [field.name for field in fields]
        unknown = sorted(set(values) - set(known))
        if unknown:
            hints = "".join(did_you_mean(name, [*known, *_OTHER_KEYS]) for name in unknown)
            raise ConfigurationError(f"Unknown training arguments {unknown}; known are {sorted(known)}.{hints}")
        required = [field.name for field in fields if field.default is field.default_factory is MISSING]
        missing = [name for name in required if name not in values]
        if missing:
            raise ConfigurationError(f"Training needs {missing}; set them in the recipe or as {missing[0]}=VALUE.")
        return cls(**values)

    @classmethod
    def from_recipe(cls, recipe: str | Path | None = None, overrides: Sequence[str] = ()) -> Self:
        """Reads a YAML recipe and applies overrides from the command line.

        Args:
            recipe: A YAML file with arguments, the name of a recipe that comes with the package, or None for the
                defaults.
            overrides: Each "key=value", "--key=value", or the two words "--key", "value"; values are YAML.

        Raises:
            ConfigurationError: The file or an override cannot be read, or holds something unknown.

        Example:
            >>> TrainArguments.from_recipe("recipe.yaml", ["steps=100", "--learning_rate", "1e-3"]).steps
            100
        """
        values = {} if recipe is None else with_current_names(read_mapping(find_recipe(user_path(recipe))))
        return cls.from_dict({**values, **with_current_names(parse_overrides(overrides))})

    def to_yaml(self) -> str:
        """All arguments as a recipe."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def with_current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments in the spelling of this version, from a recipe or a run of an earlier one."""
    values = {_OTHER_KEYS.get(key, key): value for key, value in values.items()}
    return {**values, "level": "image"} if values.get("level") == "picture" else values


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Reads "key=value", "--key=value", or the two words "--key", "value"; values are YAML."""
    values = {}
    remaining = list(overrides)
    while remaining:
        override = remaining.pop(0)
        key, equals, text = override.removeprefix("--").partition("=")
        if not equals:
            if not override.startswith("--") or not remaining or remaining[0].startswith("--"):
                raise ConfigurationError(f"Cannot read the override {override!r}; write key=value or --key value.")
            text = remaining.pop(0)
        try:
            values[key.replace("-", "_")] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"The value of the override {key}={text} is not YAML: {error}") from error
    return values


def read_mapping(path: Path) -> dict[str, Any]:
    """The arguments in a YAML file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The recipe {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"The recipe {path} must be a YAML mapping, with one 'argument: value' a line.")
    return values


def _convert(name: str, value: Any, hint: Any) -> Any:
    """Checks a value against an annotation. A path counts as text; an int or "1e-4" (text in YAML) counts as float."""
    kind, options = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if type(None) in options:
        return None if value is None else _convert(name, value, options[0])
    if kind is Annotated:
        number, minimum = _convert(name, value, options[0]), options[1]
        if not number >= minimum:
            raise ConfigurationError(f"{name} is {number}; it must be at least {minimum}.")
        return number
    if kind is Literal:
        if value not in options:
            raise ConfigurationError(f"{name} is {value!r}; choose one of {list(options)}.")
        return value
    if kind is list and isinstance(value, (list, tuple)):
        return [_convert(name, item, options[0]) for item in value]
    if kind is dict and isinstance(value, Mapping):
        return {str(key): _convert(f"{name}[{key!r}]", item, options[1]) for key, item in value.items()}
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    if hint is str and (isinstance(value, Path) or str(value).startswith("~")):
        return str(user_path(value))
    if type(value) is hint:
        return value
    expected = str(hint) if options else hint.__name__
    raise ConfigurationError(f"{name} is {value!r} ({type(value).__name__}); it must be of type {expected}.")
