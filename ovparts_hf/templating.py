"""The templates of this package."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment(autoescape: bool) -> Environment:
    """Finds the files in `templates/`; anything that a template misses is an error.

    Args:
        autoescape: Whether values are escaped, as they must be in HTML.
    """
    return Environment(
        loader=PackageLoader("ovparts_hf"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
