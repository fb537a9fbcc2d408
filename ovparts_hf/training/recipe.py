"""Settings that a recipe file and the command line can set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin, get_type_hints

import yaml

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Base of frozen dataclasses whose fields are read from YAML and from words like `key=value`.

    Attributes:
        choices: Field -> its allowed values.
        at_least: Field -> its least value.
    """

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {}
    at_least: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        fields = [entry.name for entry in dataclasses.fields(self)]
        for name in fields:
            object.__setattr__(self, name, _convert(name, getattr(self, name), hints[name]))
        for name, allowed in self.choices.items():
            value = getattr(self, name)
            if value not in allowed and not (value is None and type(None) in get_args(hints[name])):
                raise ConfigurationError(f"{name} is {value!r}; choose one of {list(allowed)}.")
        for name, least in self.at_least.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ConfigurationError(f"{name} is {value}; it must be at least {least}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Builds arguments from a mapping.

        Raises:
            ConfigurationError: A key is unknown or missing, or a value cannot be used.
        """
        known = {entry.name: entry for entry in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigurationError(f"Unknown training arguments {unknown}; known are {sorted(known)}.")
        required = [
            name
            for name, entry in known.items()
            if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        ]
        missing = [name for name in required if name not in values]
        if missing:
            raise ConfigurationError(f"Training needs {missing}; set them in the recipe or as {missing[0]}=VALUE.")
        return cls(**values)

    @classmethod
    def from_recipe(cls, recipe: str | Path | None = None, overrides: Sequence[str] = ()) -> Self:
        """Reads a YAML recipe and applies overrides from the command line.

        Args:
            recipe: A YAML file with arguments, or None for the defaults.
            overrides: Each "key=value", "--key=value", or the two words "--key", "value"; values are YAML.

        Raises:
            ConfigurationError: The file or an override cannot be read, or holds something unknown.

        Example:
            >>> TrainArguments.from_recipe("recipe.yaml", ["steps=100", "--learning_rate", "1e-3"]).steps
            100
        """
        values = {} if recipe is None else _read_mapping(Path(recipe))
        return cls.from_dict({**values, **parse_overrides(overrides)})

    def to_yaml(self) -> str:
        """All arguments as a recipe."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The recipe {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"The recipe {path} must be a YAML mapping, with one 'argument: value' a line.")
    return values


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Reads "key=value", "--key=value", or the two words "--key", "value"; values are YAML.

    Raises:
        ConfigurationError: A word cannot be read.
    """
    values = {}
    words = list(words)
    while words:
        word = words.pop(0)
        key, equals, text = word.removeprefix("--").partition("=")
        if not equals:
            if not word.startswith("--") or not words or words[0].startswith("--"):
                raise ConfigurationError(f"Cannot read the override {word!r}; write key=value or --key value.")
            text = words.pop(0)
        try:
            values[key.replace("-", "_")] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"The value of the override {key}={text} is not YAML: {error}") from error
    return values


def _convert(name: str, value: Any, hint: Any) -> Any:
    """Checks a value against a type, taking whole numbers, and "1e-4" (for YAML a string), where a float is wanted."""
    options = get_args(hint)
    if hint is Any:
        return value
    if type(None) in options:
        return None if value is None else _convert(name, value, options[0])
    if get_origin(hint) is list and isinstance(value, (list, tuple)):
        return [_convert(name, item, options[0]) for item in value]
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {str(key): _convert(f"{name}[{key!r}]", item, options[1]) for key, item in value.items()}
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    if type(value) is hint:
        return value
    if hint is str and isinstance(value, Path):
        return str(value)
    wanted = hint.__name__ if isinstance(hint, type) and not options else str(hint)
    raise ConfigurationError(f"{name} is {value!r} ({type(value).__name__}); it must be of type {wanted}.")
