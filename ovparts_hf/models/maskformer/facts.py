"""What there is to say about MaskFormer."""

from ..family_facts import FamilyFacts

FACTS = FamilyFacts(
    "MaskFormer",
    "Cheng et al., *Per-Pixel Classification is Not All You Need for Semantic Segmentation*, NeurIPS 2021",
    convert_options=frozenset({"backbone"}),
    checkpoint_keys=("sem_seg_head.pixel_decoder.",),
)
