"""One builder class and one dataset card for each dataset.

`BUILDERS` maps the names of the command line to the classes, `RELEASES` only those that read a release of OV-PARTS.
`write_repository(PascalPart116(data_dir=...), out)` prepares a dataset, which `datasets.load_dataset(out)` then loads.
"""

from ovparts_hf.data.preparation.builder import ReleaseBuilder
from ovparts_hf.data.preparation.label_builder import LabelFilesBuilder
from ovparts_hf.errors import ConfigurationError

from .ade20k_part_234 import ADE20KPart234
from .paco_lvis import PacoLVIS
from .partimagenet import PartImageNet
from .partimagenet_ood import PartImageNetOOD
from .pascal_part_116 import PascalPart116
from .toy_garden import ToyGarden
from .toy_world import ToyWorld

__all__ = [
    "BUILDERS",
    "DRAWN",
    "RELEASES",
    "ADE20KPart234",
    "PacoLVIS",
    "PartImageNet",
    "PartImageNetOOD",
    "PascalPart116",
    "ToyGarden",
    "ToyWorld",
    "get_builder",
]

Builder = type[ReleaseBuilder] | type[LabelFilesBuilder] | type[ToyWorld]

RELEASES: dict[str, type[ReleaseBuilder]] = {
    "pascal-part-116": PascalPart116,
    "ade20k-part-234": ADE20KPart234,
}
BUILDERS: dict[str, Builder] = {
    **RELEASES,
    "partimagenet": PartImageNet,
    "partimagenet-ood": PartImageNetOOD,
    "paco-lvis": PacoLVIS,
    "toy-world": ToyWorld,
    "toy-garden": ToyGarden,
}
DRAWN = frozenset(name for name, builder in BUILDERS.items() if issubclass(builder, ToyWorld))
"""Datasets without a source and without photographs."""


def get_builder(name: str) -> Builder:
    """The builder class of a dataset, by its name on the command line.

    Raises:
        ConfigurationError: There is no such dataset.
    """
    if name not in BUILDERS:
        raise ConfigurationError(f"Unknown dataset {name!r}; choose one of {list(BUILDERS)}.")
    return BUILDERS[name]
