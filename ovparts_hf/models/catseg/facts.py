"""What there is to say about CATSeg."""

from ..family_facts import FamilyFacts, Weights

CATSEG = "hamacojr/CAT-Seg"

FACTS = FamilyFacts(
    "CATSeg",
    "Cho et al., *CAT-Seg: Cost Aggregation for Open-Vocabulary Semantic Segmentation*, CVPR 2024",
    base_title="CLIP",
    convert_options=frozenset({"text_precision"}),
    checkpoint_keys=("sem_seg_head.predictor.clip_model.",),
    weights={
        CATSEG: Weights(
            "CAT-Seg's model of whole objects, trained by its authors",
            "the weights of CAT-Seg, whose licence is not confirmed",
            "the licence of the hamacojr/CAT-Seg weights",
            "https://huggingface.co/hamacojr/CAT-Seg",
        )
    },
)
