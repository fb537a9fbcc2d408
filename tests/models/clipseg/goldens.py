"""The stored run of the original's CLIPSeg, and a tiny model of its sizes."""

from transformers import AutoTokenizer, ViTImageProcessor

from ovparts_hf.models.clipseg.configuration_clipseg import CLIPSegPartConfig
from ovparts_hf.models.processing import PartSegmentationProcessor

from ...golden_folder import Golden

TINY = Golden("clipseg")
FOLDER, FACTS = TINY.folder, TINY.facts


def golden_config(golden: Golden = TINY, **changes) -> CLIPSegPartConfig:
    facts = golden.facts
    settings = {
        **facts["model_config"],
        "adapter_reduction": facts["visual_adapter"]["reduction"],
        "adapter_ratio": facts["visual_adapter"]["ratio_adapter"],
        "none_weight": facts["background_weight"],
        "ignore_index": facts["ignore_label"],
    }
    return CLIPSegPartConfig(**{**settings, **changes})


def golden_processor(size: int | None = None, golden: Golden = TINY) -> PartSegmentationProcessor:
    facts = golden.facts["processor"]
    size = facts["size"] if size is None else size
    image_processor = ViTImageProcessor(
        size={"height": size, "width": size}, image_mean=facts["image_mean"], image_std=facts["image_std"]
    )
    return PartSegmentationProcessor(image_processor, AutoTokenizer.from_pretrained(golden.path("tokenizer")))
