"""From a template to a card: a YAML header and Markdown."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CardData

from ...utils.templating import template_environment


def render_card(metadata: CardData, templates: Sequence[str], **values: Any) -> str:
    """Fills in the first of the templates that exists; a value that it lacks is an error, and nothing is escaped."""
    environment = template_environment("ovparts_hf.reporting", autoescape=False)
    environment.filters["listed"] = _listed
    environment.filters["quoted"] = shlex.quote
    environment.filters["options"] = _options
    environment.filters["yaml"] = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True, width=120)
    text = environment.select_template(templates).render(**values)
    return f"---\n{metadata.to_yaml()}\n---\n\n" + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def without_machine(path: str) -> str:
    """A path without what only one machine knows: of an absolute one the last name."""
    return Path(path).name if Path(path).is_absolute() else path


def _listed(weights: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" if "/" in name else name for name in weights)


def _options(values: Mapping[str, Any]) -> str:
    shown = {key: without_machine(value) if isinstance(value, str) else value for key, value in values.items()}
    return ", ".join(f"`{key}` {json.dumps(value)}" for key, value in shown.items())
