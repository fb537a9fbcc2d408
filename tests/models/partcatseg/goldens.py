"""The stored run of PartCATSeg by its authors' code, and a tiny model of its sizes."""

import torch
import torch.nn.functional as F

from ovparts_hf.models.partcatseg.configuration_partcatseg import PartCATSegConfig

from ...golden_folder import Golden
from ..catseg.goldens import _tower

TINY = Golden("partcatseg")
FOLDER = TINY.folder


def golden_config(golden: Golden = TINY, **changes) -> PartCATSegConfig:
    facts = golden.facts
    clip, dino, aggregator = facts["clip"], facts["dino"], facts["aggregator"]
    text = {"vocab_size": clip["vocab_size"], "max_position_embeddings": clip["context_length"]}
    text |= {"bos_token_id": clip["sot_token_id"], "eos_token_id": clip["eot_token_id"]}
    fields = dict(
        text_config=_tower(clip, "transformer") | text | {"pad_token_id": clip["pad_token_id"]},
        vision_config=_tower(clip, "vision")
        | {"image_size": clip["image_resolution"], "patch_size": clip["vision_patch_size"]},
        projection_dim=clip["embed_dim"],
        backbone_config={
            "hidden_size": dino["embed_dim"],
            "num_hidden_layers": dino["depth"],
            "num_attention_heads": dino["num_heads"],
            "mlp_ratio": dino["mlp_ratio"],
            "image_size": dino["img_size"],
            "patch_size": dino["patch_size"],
            "layer_norm_eps": dino["layer_norm_eps"],
            "qkv_bias": dino["qkv_bias"],
            "position_offset": dino["interpolate_offset"],
        },
        image_size=facts["clip_resolution"][0],
        backbone_image_size=dino["input_resolution"][0],
        num_templates=len(facts["templates"]),
        hidden_size=aggregator["hidden_dim"],
        num_hidden_layers=aggregator["num_layers"],
        num_attention_heads=aggregator["num_heads"],
        window_size=aggregator["window_size"],
        pooling_size=aggregator["pooling_sizes"][0],
        text_guidance_size=aggregator["text_guidance_proj_dim"],
        image_guidance_size=aggregator["appearance_guidance_proj_dim"],
        decoder_sizes=aggregator["decoder_dims"],
        decoder_guidance_sizes=aggregator["decoder_guidance_proj_dims"],
        class_attention=aggregator["attention_type"],
        none_weight=facts["bg_loss_weight"],
        part_weight=facts["lambda_part"],
        object_weight=facts["lambda_obj"],
        divergence_weight=facts["lambda_jsd"],
        ignore_index=facts["ignore_value"],
    )
    for ours, originals in (("", "clip_"), ("backbone_", "")):
        for name in ("mean", "std"):
            fields[f"{ours}image_{name}"] = [value / 255 for value in facts[f"{originals}pixel_{name}"]]
    return PartCATSegConfig(**{**fields, **changes})


def prepared(images: torch.Tensor, golden: Golden = TINY) -> dict[str, torch.Tensor]:
    """uint8 (batch, 3, height, width) -> the model's inputs, without the scaling of the data mapper."""
    facts, config = golden.facts, golden_config(golden)
    mean, std = (torch.tensor(facts[f"clip_pixel_{name}"]).view(-1, 1, 1) for name in ("mean", "std"))
    bottom, right = (-size % facts["size_divisibility"] for size in images.shape[-2:])
    layers = torch.cat([(images.float() - mean) / std, torch.ones(len(images), 1, *images.shape[-2:])], dim=1)
    layers = F.pad(layers, (0, right, 0, bottom))
    for_clip, for_dino = (
        F.interpolate(layers, size=(side, side), mode="bilinear") for side in (config.image_size, config.guidance_size)
    )
    return {"pixel_values": for_clip[:, :3], "pixel_mask": for_dino[:, 3], "backbone_pixel_values": for_dino[:, :3]}


def stored_tokens(split: str, golden: Golden = TINY) -> torch.Tensor:
    """(classes, 3 * templates, length): the tokens of each class, of its part's name and of its object's."""
    facts, inputs = golden.facts[split], golden.inputs
    names = inputs[f"token_ids_part_obj_{split}"]
    parts = torch.tensor(facts["class_to_part"])
    objects = torch.tensor(facts["class_to_obj_in_part"]) + len(facts["part_classes"])
    return torch.cat([inputs[f"token_ids_specific_{split}"], names[parts], names[objects]], dim=1)


def stored_order(split: str, golden: Golden = TINY) -> torch.Tensor:
    """Where the stored names of parts and of objects, and "none", are among those of `Vocabulary`."""
    facts = golden.facts[split]
    order, count = [], 0
    for key, names in (("class_to_part", "part_classes"), ("class_to_obj_in_part", "obj_in_part_classes")):
        appearance = list(dict.fromkeys(facts[key]))
        order += [count + appearance.index(number) for number in range(len(facts[names]))]
        count += len(appearance)
    return torch.tensor([*order, count])


def object_labels(name: str, golden: Golden = TINY) -> torch.Tensor:
    """The stored labels of objects as class ids: the first class of each object."""
    facts = golden.facts["train"]
    owners = facts["class_to_obj_in_part"]
    table = torch.full((256,), golden.facts["ignore_value"])
    for number, owner in enumerate(facts["obj_to_obj_in_part"]):
        if owner in owners:
            table[number] = owners.index(owner)
    return table[golden.inputs[f"train.{name}.obj_labels"].long()]
