"""What there is to say about PartCLIPSeg."""

from ..clipseg.facts import CLIPSEG
from ..family_facts import AuthorsModels, FamilyFacts

FACTS = FamilyFacts(
    "PartCLIPSeg",
    "Choi et al., *Understanding Multi-Granularity for Open-Vocabulary Part Segmentation*, NeurIPS 2024",
    base_title="CLIPSeg",
    checkpoint_keys=("partclipseg_model.",),
    authors=AuthorsModels(
        "kaist-cvml/part-clipseg",
        "MIT",
        {
            "pascal-part-116": "partclipseg_voc_oracle.pth",
            "ade20k-part-234": "partclipseg_ade_oracle.pth",
            "partimagenet": "",
        },
        backbone="ViT-B/16",
        finetuning="VA+L+F+D",
        starts_from=(CLIPSEG,),
        metrics="partclipseg",
        convert=f"--base {CLIPSEG}",
    ),
)
