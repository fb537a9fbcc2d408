"""One builder class and one dataset card for each dataset.

`BUILDERS` maps the names of the command line to the classes, `RELEASES` only those that read a downloaded release.
`write_repository(PascalPart116(data_dir=...), out)` prepares a dataset, which `datasets.load_dataset(out)` then loads.
"""

from ovparts_hf.data.preparation.builder import ReleaseBuilder
from ovparts_hf.errors import ConfigurationError

from .ade20k_part_234 import ADE20KPart234
from .pascal_part_116 import PascalPart116
from .toy_garden import ToyGarden
from .toy_world import ToyWorld

__all__ = ["BUILDERS", "RELEASES", "ADE20KPart234", "PascalPart116", "ToyGarden", "ToyWorld", "get_builder"]

RELEASES: dict[str, type[ReleaseBuilder]] = {
    "pascal-part-116": PascalPart116,
    "ade20k-part-234": ADE20KPart234,
}
BUILDERS: dict[str, type[ReleaseBuilder] | type[ToyWorld]] = {
    **RELEASES,
    "toy-world": ToyWorld,
    "toy-garden": ToyGarden,
}


def get_builder(name: str) -> type[ReleaseBuilder] | type[ToyWorld]:
    """The builder class of a dataset, by its name on the command line.

    Raises:
        ConfigurationError: There is no such dataset.
    """
    if name not in BUILDERS:
        raise ConfigurationError(f"Unknown dataset {name!r}; choose one of {list(BUILDERS)}.")
    return BUILDERS[name]
