"""What visitors of the web page may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from ..errors import ConfigurationError
from ..utils.images import MAX_PIXELS
from ..utils.suggest import did_you_mean


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for, how much at a time, and how long it is kept.

    Args:
        file_size: Bytes of an uploaded file; a whole HTTP request may have 2**20 more.
        pixels: Height times width of an image; its header is read before anything is decoded.
        side: Pixels of its longer side.
        characters: Of the text that names objects and parts.
        parts: How many may be named.
        scores: Pixels times parts of a request. 2**30 take about 10 seconds on one CPU core, after the model's own
            time.
        time_limit: Seconds that a request may run, without the time that it waits; then it is stopped at its next step.
        per_client: Requests of one client, which is a network address, that run or wait at the same time.
        waiting: Requests of all clients that wait.
        visitors: How many visitors' last results are kept in memory (about 30 MB for a large image and each model).
        seconds: How long results and files are kept.

    Raises:
        ConfigurationError: A limit is not above 0.
    """

    file_size: int = 32 * 2**20
    pixels: int = MAX_PIXELS
    side: int = 2**14
    characters: int = 4000
    parts: int = 128
    scores: int = 2**30
    time_limit: float = 60
    per_client: int = 1
    waiting: int = 16
    visitors: int = 32
    seconds: int = 3600

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigurationError(f"The limit {name} is {value}; it must be above 0.")

    @classmethod
    def parse(cls, settings: Iterable[str]) -> Limits:
        """Limits as text, for example ["parts=64", "time_limit=30"]; the others keep their defaults.

        Raises:
            ConfigurationError: There is no such limit, or its value is no number above 0.
        """
        kinds = {field.name: type(field.default) for field in fields(cls)} | {"time_limit": float}
        values = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            try:
                values[name] = kinds[name](value)
            except (KeyError, ValueError) as error:
                raise ConfigurationError(
                    f"{setting!r} is no limit; write name=number, where name is one of {', '.join(kinds)}."
                    f"{'' if name in kinds else did_you_mean(name, kinds)}"
                ) from error
        return cls(**values)
