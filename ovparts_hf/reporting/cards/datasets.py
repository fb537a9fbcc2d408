"""The cards of the datasets: templates that `ovparts prepare` completes with what it wrote."""

from __future__ import annotations

from huggingface_hub import DatasetCardData

from ...taxonomy import TAXONOMIES
from .facts import DATASETS
from .markdown import render_card

DATASET_CARDS = {name: name.replace("-", "_") for name in DATASETS}
"""Dataset -> the folder of `dataset_builders` with its card."""


def dataset_card(name: str) -> str:
    """The card of a dataset, with `{counts}` where `ovparts prepare` puts a table of the splits."""
    taxonomy, facts = TAXONOMIES[name], DATASETS[name]
    licence = {"license": "other", "license_name": facts.license_name, "license_link": facts.terms}
    metadata = DatasetCardData(
        pretty_name=facts.title,
        task_categories=["image-segmentation"],
        tags=["part-segmentation", "open-vocabulary", *([] if facts.terms else ["synthetic"])],
        size_categories=["1K<n<10K"],
        **(licence if facts.terms else {"license": "apache-2.0"}),
    )
    with_parts = {taxonomy.object_classes[object_id] for object_id in taxonomy.part_object_ids}
    return render_card(
        metadata,
        [f"dataset_card_{name}.j2"],
        taxonomy=taxonomy,
        title=facts.title,
        unseen=[name for name in taxonomy.object_classes if name in with_parts - set(taxonomy.seen_objects)],
        partless=[name for name in taxonomy.object_classes if name not in with_parts],
    )
