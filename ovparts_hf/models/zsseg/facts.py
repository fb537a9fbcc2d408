"""What there is to say about ZSseg and ZSseg+."""

from ..family_facts import FamilyFacts

FACTS = FamilyFacts(
    "ZSseg",
    "Xu et al., *A Simple Baseline for Open-Vocabulary Semantic Segmentation with Pre-trained Vision-language Model*, "
    "ECCV 2022; adapted to parts by OV-PARTS",
    masked_title="ZSseg+",
    base_title="CLIP",
    convert_options=frozenset({"trained_on", "backbone", "prompts"}),
    checkpoint_keys=("clip_adapter.",),
    contains="maskformer",
    toy_prompts={"zsseg+": "cptcoop", "zsseg+cocoop": "cptcocoop"},
)
