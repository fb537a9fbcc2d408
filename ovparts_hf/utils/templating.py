"""The templates of a package."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment(package: str, autoescape: bool) -> Environment:
    """Finds the files in `templates/`; anything that a template misses is an error.

    Args:
        package: A package with a folder `templates`.
        autoescape: Whether values are escaped, as they must be in HTML.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
