"""The stored runs of the original's ZSseg+ and plain ZSseg, and how our model is asked the same."""

import pytest
import torch

from ovparts_hf.models.prompts import pad_rows
from ovparts_hf.models.zsseg.configuration_zsseg import ZSSegConfig
from ovparts_hf.taxonomy import split_part_class

from ..maskformer.goldens import Golden

PLUS, PLAIN = Golden("zsseg"), Golden("zsseg_plain")


def golden_config(golden: Golden, **changes) -> ZSSegConfig:
    clip = golden.facts["clip"]
    text, vision = ({"num_hidden_layers": clip[f"{tower}_layers"]} for tower in ("text", "vision"))
    for tower, config in (("text", text), ("vision", vision)):
        width = clip[f"{tower}_width"]
        config |= {"hidden_size": width, "intermediate_size": 4 * width, "hidden_act": "quick_gelu"}
        config |= {"num_attention_heads": clip[f"{tower}_heads"], "projection_dim": clip["embed_dim"]}
    text |= {"vocab_size": clip["vocab_size"], "max_position_embeddings": clip["context_length"]}
    text |= {"bos_token_id": 510, "eos_token_id": 511, "pad_token_id": 0}
    vision |= {"image_size": clip["image_resolution"], "patch_size": clip["vision_patch_size"]}
    adapter = golden.facts["adapter"]
    settings = {
        **golden.mask_classification_sizes(),
        "text_config": text,
        "vision_config": vision,
        "projection_dim": clip["embed_dim"],
        "class_hidden_size": golden.facts["class_embed_mlp"]["hidden"],
        "ensemble_weight": adapter["clip_ensemble_weight"],
    }
    if golden is PLAIN:
        settings |= {"object_mask_prompt": False, "prompt_lengths": None, "region_size": adapter["region_size"]}
    return ZSSegConfig(**{**settings, **changes})


def class_ids(golden: Golden, kind: str) -> dict[str, torch.Tensor]:
    """Prompts of the classes, as `encode_classes` takes them."""
    names = golden.facts["classes"][f"{kind}_parts"]
    if golden is PLAIN:
        table = golden.facts["prompt_token_ids"]
        templates = golden.facts["prompt_templates"]
        rows = pad_rows([table[template.format(name)] for name in names for template in templates])
        return {key: value.unflatten(0, (len(names), -1)) for key, value in rows.items()}
    tokens = golden.facts["tokens"]
    rows = []
    for name in names:
        object_name, part_name = (tokens["nouns"][noun] for noun in split_part_class(name))
        start, end = [tokens["start"], -1, -2, -3, -4], [tokens["dot"], tokens["end"]]
        rows.append([*start, *object_name, -5, -6, -7, -8, *part_name, *end])
    return pad_rows(rows)


def seen(golden: Golden) -> torch.Tensor:
    return torch.tensor(golden.facts["classes"]["trainable_flag"]).bool()


def same_substring(golden: Golden) -> torch.Tensor:
    """The original's choice of candidates (1, classes): the object's name occurs in the class's."""
    facts = golden.facts
    ids = facts["eval"]["selected_classes_for_object"]
    mask = torch.zeros(1, len(facts["classes"]["eval_parts"]), dtype=torch.bool)
    mask[0, ids] = True
    return mask


def every(tensor: torch.Tensor, step: int) -> torch.Tensor:
    return tensor[..., ::step, ::step]


plus = pytest.mark.parametrize("golden", [PLUS], ids=["plus"])
both = pytest.mark.parametrize("golden", [PLUS, PLAIN], ids=["plus", "plain"])
