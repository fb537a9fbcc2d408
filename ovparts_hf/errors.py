"""The errors that this library raises on bad input.

All derive from `OVPartsError`, which is a `ValueError`: callers may catch either. A message says what was given, what
is allowed and what to do.
"""


class OVPartsError(ValueError):
    """Something that the caller gave cannot be used."""


class TaxonomyError(OVPartsError):
    """A vocabulary of objects and parts is inconsistent."""


class DatasetError(OVPartsError):
    """A dataset archive, folder or row is not as it must be."""


class CheckpointError(OVPartsError):
    """A checkpoint does not fit the model that it is meant for."""


class ConfigurationError(OVPartsError):
    """A recipe, an argument or a combination of arguments is not allowed."""


class HubError(OVPartsError):
    """The Hugging Face Hub cannot be reached, or does not do what was asked."""


class ImageError(OVPartsError):
    """An image cannot be opened, or is not one that can be segmented."""


PictureError = ImageError  # its name up to 0.1
