"""What there is to say about PartCATSeg."""

from ..catseg.facts import CATSEG
from ..family_facts import AuthorsModels, FamilyFacts, Weights

DINOV2 = "facebook/dinov2-small"
_CLIP = "openai/clip-vit-base-patch16"
_BASE = f"--base {_CLIP}"
_TEXT = f"text_weights={_CLIP}"  # that of a checkpoint is not what the original encodes class names with

FACTS = FamilyFacts(
    "PartCATSeg",
    "Choi et al., *Fine-Grained Image-Text Correspondence with Cost Aggregation for Open-Vocabulary Part "
    "Segmentation*, CVPR 2025",
    base_title="CLIP",
    convert_options=frozenset({"text_precision"}),
    checkpoint_keys=("backbone.dinov2.",),
    contains="catseg",
    authors=AuthorsModels(
        "kaist-cvml/part-catseg",
        "MIT",
        {
            "pascal-part-116": "partcatseg_voc.pth",
            "ade20k-part-234": "partcatseg_ade.pth",
            "partimagenet": "partcatseg_partimagenet_seg.pth",
            "partimagenet-ood": "",
        },
        backbone="DINOv2 ViT-S/14 + ViT-B/16",
        finetuning="B+D",
        starts_from=(CATSEG, _CLIP, DINOV2),
        metrics="partcatseg",
        convert=f"{_BASE} --vocabulary {{dataset}} --set {_TEXT}",
        dataset_options={"partimagenet": "eval_label_size=null"},
        preparation=f"ovparts convert partcatseg model_final_base.pth models/partcatseg-base {_BASE} --set "
        f"backbone_weights={DINOV2} {_TEXT}",
    ),
    weights={
        DINOV2: Weights(
            "DINOv2 ViT-S/14, trained by its authors without labels",
            "DINOv2 (Meta, under Apache-2.0 as its code states)",
            f"the licence tag of {DINOV2} on the Hub",
            "https://github.com/facebookresearch/dinov2",
        )
    },
)
