"""The cards of the datasets: templates that `ovparts prepare` completes with what it wrote (`data/card.py`)."""

from __future__ import annotations

from typing import Any

from huggingface_hub import DatasetCardData

from .facts import TAXONOMIES, TERMS
from .markdown import render

_COMMON: dict[str, Any] = {
    "task_categories": ["image-segmentation"],
    "tags": ["part-segmentation", "open-vocabulary"],
    "size_categories": ["1K<n<10K"],
}
_METADATA: dict[str, dict[str, Any]] = {
    "pascal-part-116": {
        "pretty_name": "Pascal-Part-116",
        "license": "other",
        "license_name": "flickr-terms-research-only",
        "license_link": TERMS["pascal-part-116"],
    },
    "ade20k-part-234": {
        "pretty_name": "ADE20K-Part-234",
        "license": "other",
        "license_name": "ade20k-research-only",
        "license_link": TERMS["ade20k-part-234"],
    },
    "toy-world": {
        "pretty_name": "Toy world of parts",
        "license": "apache-2.0",
        "tags": [*_COMMON["tags"], "synthetic"],
    },
}
DATASET_CARDS = {name: name.replace("-", "_") for name in _METADATA}
"""Dataset -> the folder of `dataset_builders` with its card."""


def dataset_card(name: str) -> str:
    """The card of a dataset, with `{counts}` where `ovparts prepare` puts a table of the splits.

    Args:
        name: A key of `DATASET_CARDS`.
    """
    taxonomy = TAXONOMIES[name]
    with_parts = {taxonomy.object_classes[object_id] for object_id in taxonomy.part_object_ids}
    metadata = DatasetCardData(**_COMMON | _METADATA[name])
    text = render(
        "dataset_card.md.j2",
        taxonomy=taxonomy,
        title=_METADATA[name]["pretty_name"],
        unseen=[each for each in taxonomy.object_classes if each in with_parts - set(taxonomy.seen_objects)],
        partless=[each for each in taxonomy.object_classes if each not in with_parts],
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{text}"
