"""The stored run of the authors' PartCLIPSeg, and a tiny model of its sizes."""

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, ViTImageProcessor

from ovparts_hf.models.part_object import PartObjectNames
from ovparts_hf.models.partclipseg.configuration_partclipseg import PartCLIPSegConfig
from ovparts_hf.models.partclipseg.processing_partclipseg import PartCLIPSegProcessor

from ...golden_folder import Golden

TINY = Golden("partclipseg")


def golden_config(golden: Golden = TINY, **changes) -> PartCLIPSegConfig:
    facts = golden.facts
    loss = facts["loss"]
    settings = {
        **facts["model_config"],
        "none_weight": facts["background_weight"],
        "ignore_index": facts["ignore_label"],
        "object_loss_weight": loss["obj_lambda"],
        "part_loss_weight": loss["part_lambda"],
        "separation_weight": loss["attn_sep_lambda"],
        "enhancement_weight": loss["attn_enh_lambda"],
        "attention_threshold": loss["attn_mask_threshold"],
        "attention_layer": loss["attn_level"][0],
    }
    return PartCLIPSegConfig(**{**settings, **changes})


def golden_processor(golden: Golden = TINY) -> PartCLIPSegProcessor:
    facts = golden.facts["processor"]
    size = {"height": facts["size"], "width": facts["size"]}
    image_processor = ViTImageProcessor(size=size, image_mean=facts["image_mean"], image_std=facts["image_std"])
    return PartCLIPSegProcessor(image_processor, AutoTokenizer.from_pretrained(golden.path("tokenizer")))


def class_names(case: str, golden: Golden = TINY) -> list[str]:
    """Those of "train" and of "eval"."""
    return golden.facts[{"train": "train_stuff_classes", "eval": "test_stuff_classes"}[case]]


def golden_inputs(case: str, golden: Golden = TINY) -> dict[str, torch.Tensor]:
    """The stored prompts of a case, each once, as the model takes them: for each class three of them."""
    names = PartObjectNames.of(class_names(case, golden))
    ids = names.ids()
    rows = torch.stack([*ids.T, ids[:, 1] - len(names.part_names)], dim=1)
    stored = {key: golden.inputs[f"{case}.{key}"] for key in ("input_ids", "attention_mask")}
    assert len(stored["input_ids"]) == len(names.names)
    return {**{key: prompts[rows] for key, prompts in stored.items()}, "name_ids": ids}


def golden_labels(case: str, golden: Golden = TINY) -> dict[str, torch.Tensor]:
    """`labels` and `object_labels` of "train" or "nobg", at the size of the logits."""
    inputs, size = golden.inputs, golden.facts["processor"]["size"]
    found = {}
    for name, key in (("labels", "part_labels"), ("object_labels", "obj_labels")):
        stored = [inputs[f"{case}.{key}"]] if f"{case}.{key}" in inputs else golden.numbered(f"{case}.{key}.")
        resized = [F.interpolate(each[None, None].float(), size=(size, size), mode="nearest")[0, 0] for each in stored]
        found[name] = torch.stack(resized).long()
    found["object_labels"] = first_classes(golden)[found["object_labels"]]
    return found


def first_classes(golden: Golden = TINY) -> torch.Tensor:
    """From an id of an object, or the value of no object, to its first class in training."""
    facts = golden.facts
    ignore = facts["ignore_label"]
    table = torch.full((max(ignore, len(facts["train_obj_classes"])) + 1,), ignore)
    objects = [name.split("'s")[0].strip() for name in facts["train_stuff_classes"]]
    for i, name in enumerate(facts["train_obj_classes"]):
        if name in objects:
            table[i] = objects.index(name)
    return table
