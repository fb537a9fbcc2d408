"""What there is to say about PartCLIPSeg."""

from ..family_facts import FamilyFacts

FACTS = FamilyFacts(
    "PartCLIPSeg",
    "Choi et al., *Understanding Multi-Granularity for Open-Vocabulary Part Segmentation*, NeurIPS 2024",
    base_title="CLIPSeg",
    checkpoint_keys=("partclipseg_model.",),
)
