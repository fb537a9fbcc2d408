"""How a part is put into words for a model that is asked by text."""

from __future__ import annotations

from ...errors import ConfigurationError
from ...taxonomy import split_part_class

PROMPTS = {"possessive": "{object}'s {part}", "of": "{part} of a {object}", "part": "{part}"}
"""Name of each wording -> its template. Free text, and names of objects, stay as they are."""
DEFAULT_PROMPT = "possessive"


def check_prompt(name: str) -> str:
    """Refuses a wording that is none of `PROMPTS`."""
    if name not in PROMPTS:
        raise ConfigurationError(f"prompt is {name!r}; choose one of {list(PROMPTS)}.")
    return name


def phrase(class_name: str, prompt: str) -> str:
    """A class in a wording: "dog's ear" becomes "ear of a dog"."""
    if "'s " not in class_name:
        return class_name
    object_name, part_name = split_part_class(class_name)
    return PROMPTS[prompt].format(object=object_name, part=part_name)
