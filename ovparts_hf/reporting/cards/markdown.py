"""From a template to Markdown that reads well as plain text."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ...utils.templating import template_environment

_WIDTH = 120
_LIST_ITEM = re.compile(r"(?m)^(?=- )")


def render(template: str, **values: Any) -> str:
    """Fills a template of this package in, and wraps its paragraphs and lists.

    Args:
        template: File name.
        **values: What it needs; anything missing is an error. Nothing is escaped.
    """
    environment = template_environment("ovparts_hf.reporting", autoescape=False)
    environment.filters["listed"] = lambda names: ", ".join(f"`{name}`" for name in names)
    environment.filters["quoted"] = shlex.quote
    environment.filters["options"] = _options
    environment.filters["yaml"] = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return reflow(environment.get_template(template).render(**values))


def without_machine(path: str) -> str:
    """A path without what only one machine knows: of an absolute one the last name."""
    return Path(path).name if Path(path).is_absolute() else path


def _options(values: Mapping[str, Any]) -> str:
    shown = {key: without_machine(value) if isinstance(value, str) else value for key, value in values.items()}
    return ", ".join(f"`{key}` {json.dumps(value)}" for key, value in shown.items())


def reflow(text: str) -> str:
    """Wraps paragraphs and list items at 120 columns and leaves headings, tables and fenced blocks as they are.

    Args:
        text: Markdown whose blocks are separated by blank lines; list items begin with "- ".

    Returns:
        The same Markdown, blocks one blank line apart and with a final newline.
    """
    blocks = []
    for number, piece in enumerate(re.split(r"(?ms)^(```.*?^```)$", text)):
        if number % 2:
            blocks.append(piece)
        else:
            blocks.extend(map(_wrap, filter(None, map(str.strip, re.split(r"\n\s*\n", piece)))))
    return "\n\n".join(blocks) + "\n"


def _wrap(block: str) -> str:
    if block.startswith(("|", "#")):
        return block
    wrap = partial(textwrap.fill, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    if block.startswith("- "):
        return "\n".join(
            wrap(" ".join(item.split()), subsequent_indent="  ") for item in _LIST_ITEM.split(block) if item.strip()
        )
    return wrap(" ".join(block.split()))
