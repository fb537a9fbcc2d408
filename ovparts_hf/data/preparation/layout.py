"""The facts about the files of a release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...errors import DatasetError


@dataclass(frozen=True)
class ReleaseLayout:
    """The facts about a release that the code needs.

    Attributes:
        folder_names: Spellings of the name of its top folder.
        split_folders: Name of the folder of every split.
        part_maps: Folder of the part maps.
        few_shot_list: File that names the few-shot training images.
        mask_bits: Depth of the label maps.
        images_in_paper: Size of every split as the literature gives it.
        object_maps: Folder of the object maps, or None if objects come as instances.
        instance_files: Instance file of every split, where objects come as instances.
        images: Folder of the images.
    """

    folder_names: tuple[str, ...]
    split_folders: Mapping[str, str]
    part_maps: str
    few_shot_list: str
    mask_bits: Literal[8, 16]
    images_in_paper: Mapping[str, int]
    object_maps: str | None = None
    instance_files: Mapping[str, str] = field(default_factory=dict)
    images: str = "images"

    @property
    def mask_folders(self) -> tuple[str, ...]:
        """Folders that hold one PNG for every image."""
        return (self.part_maps,) if self.object_maps is None else (self.object_maps, self.part_maps)

    @property
    def entries(self) -> tuple[str, ...]:
        """All files and folders of the top folder that are read."""
        return (self.images, *self.mask_folders, *self.instance_files.values(), self.few_shot_list)

    def find_root(self, folder: Path) -> Path:
        """Finds the top folder of the release: `folder` itself, or one of its known names inside it.

        Raises:
            DatasetError: It is neither.
        """
        for name in self.folder_names:
            if (folder / name).is_dir():
                return folder / name
        if folder.name in self.folder_names or any((folder / entry).exists() for entry in self.entries):
            return folder
        raise DatasetError(
            f"{folder} neither holds a folder {' or '.join(self.folder_names)} nor is one: there is no "
            f"{' or '.join(self.entries[:2])} in it."
        )
