"""What there is to say about PartCATSeg."""

from ..family_facts import FamilyFacts

FACTS = FamilyFacts(
    "PartCATSeg",
    "Choi et al., *Fine-Grained Image-Text Correspondence with Cost Aggregation for Open-Vocabulary Part "
    "Segmentation*, CVPR 2025",
    base_title="CLIP",
    convert_options=frozenset({"text_precision"}),
    checkpoint_keys=("backbone.dinov2.",),
    contains="catseg",
)
