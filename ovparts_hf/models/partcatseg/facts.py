"""What there is to say about PartCATSeg."""

from ..family_facts import FamilyFacts, Weights

DINOV2 = "facebook/dinov2-small"

FACTS = FamilyFacts(
    "PartCATSeg",
    "Choi et al., *Fine-Grained Image-Text Correspondence with Cost Aggregation for Open-Vocabulary Part "
    "Segmentation*, CVPR 2025",
    base_title="CLIP",
    convert_options=frozenset({"text_precision"}),
    checkpoint_keys=("backbone.dinov2.",),
    contains="catseg",
    weights={
        DINOV2: Weights(
            "DINOv2 ViT-S/14, trained by its authors without labels",
            "DINOv2 (Meta, under Apache-2.0 as its code states)",
            f"the licence tag of {DINOV2} on the Hub",
            "https://github.com/facebookresearch/dinov2",
        )
    },
)
