"""The fuzzers by name."""

from .. import conftest as _environment  # noqa: F401  no network, and a cache of its own
from .archive import ArchiveFuzzer
from .checkpoint import CheckpointFuzzer
from .image import ImageFuzzer
from .kill import KillFuzzer

FUZZERS = {"kill": KillFuzzer, "archive": ArchiveFuzzer, "checkpoint": CheckpointFuzzer, "image": ImageFuzzer}
