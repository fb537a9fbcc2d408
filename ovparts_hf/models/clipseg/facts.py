"""What there is to say about CLIPSeg."""

from ..family_facts import FamilyFacts, Weights

CLIPSEG = "CIDAS/clipseg-rd64-refined"

FACTS = FamilyFacts(
    "CLIPSeg",
    "Lüddecke and Ecker, *Image Segmentation Using Text and Image Prompts*, CVPR 2022",
    base_title="CLIPSeg",
    checkpoint_keys=("clipseg_model.",),
    weights={
        CLIPSEG: Weights(
            "CLIPSeg, which its authors trained on objects described in words, and which builds on CLIP",
            "CLIPSeg weights whose author states no licence "
            "([timojl/clipseg#35](https://github.com/timojl/clipseg/issues/35)); these build on CLIP (OpenAI, whose "
            "code is under MIT)",
            "the licence tag of CIDAS/clipseg-* on the Hub",
            "https://github.com/timojl/clipseg/issues/35",
        )
    },
)
