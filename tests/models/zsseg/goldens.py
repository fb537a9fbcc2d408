"""The stored runs of the original's ZSseg+ and plain ZSseg, and tiny models of their sizes."""

from types import SimpleNamespace

import torch

from ovparts_hf.models.prompts import pad_rows
from ovparts_hf.models.zsseg.configuration_zsseg import ZSSegConfig
from ovparts_hf.taxonomy import split_part_class

from ..maskformer.goldens import Golden


class ZSSegGolden(Golden):
    """A stored run; plain ZSseg has written prompts, ZSseg+ learned ones."""

    @property
    def learned(self) -> bool:
        return "prompt" in self.facts

    @property
    def prompt_lengths(self) -> list[int] | None:
        return self.facts["prompt"]["prompt_shape"] if self.learned else None

    @property
    def special_tokens(self) -> tuple[int, int]:
        """Start and end."""
        if self.learned:
            return self.facts["tokens"]["start"], self.facts["tokens"]["end"]
        prompt = next(iter(self.facts["prompt_token_ids"].values()))
        return prompt[0], max(prompt)


PLUS, PLAIN = ZSSegGolden("zsseg"), ZSSegGolden("zsseg_plain")


def golden_config(golden: ZSSegGolden, **changes) -> ZSSegConfig:
    facts, clip, adapter = golden.facts, golden.facts["clip"], golden.facts["adapter"]
    start, end = golden.special_tokens
    text = {"vocab_size": clip["vocab_size"], "max_position_embeddings": clip["context_length"]}
    text |= {"bos_token_id": start, "eos_token_id": end, "pad_token_id": facts.get("tokens", {}).get("pad", 0)}
    vision = {"image_size": clip["image_resolution"], "patch_size": clip["vision_patch_size"]}
    settings = {
        **golden.mask_classification_settings(),
        "text_config": _tower(clip, "text") | text,
        "vision_config": _tower(clip, "vision") | vision,
        "projection_dim": clip["embed_dim"],
        "class_hidden_size": facts["class_embed_mlp"]["hidden"],
        "object_mask_prompt": golden.learned,
        "prompt_lengths": golden.prompt_lengths,
        "region_size": clip["clip_resolution"] if golden.learned else adapter["region_size"],
        "temperature": adapter["temperature"],
        "ensemble_weight": adapter["clip_ensemble_weight"],
        "mask_threshold": adapter["mask_thr"],
        "crop_ratio": adapter["mask_expand_ratio"],
        "image_mean": [value / 255 for value in facts["pixel_mean"]],
        "image_std": [value / 255 for value in facts["pixel_std"]],
    }
    return ZSSegConfig(**{**settings, **changes})


def _tower(clip: dict, name: str) -> dict:
    width = clip[f"{name}_width"]
    return {
        "hidden_size": width,
        "intermediate_size": clip.get("mlp_ratio", 4) * width,
        "num_hidden_layers": clip[f"{name}_layers"],
        "num_attention_heads": clip[f"{name}_heads"],
        "projection_dim": clip["embed_dim"],
        "hidden_act": "quick_gelu",
        "layer_norm_eps": clip["layer_norm_eps"],
    }


def class_ids(golden: ZSSegGolden, kind: str) -> dict[str, torch.Tensor]:
    """Prompts of the classes, as `encode_classes` takes them."""
    names = golden.facts["classes"][f"{kind}_parts"]
    if not golden.learned:
        table = golden.facts["prompt_token_ids"]
        templates = golden.facts["prompt_templates"]
        rows = pad_rows([table[template.format(name)] for name in names for template in templates])
        return {key: value.unflatten(0, (len(names), -1)) for key, value in rows.items()}
    tokens = golden.facts["tokens"]
    rows = []
    for name in names:
        object_name, part_name = (tokens["nouns"][noun] for noun in split_part_class(name))
        rows.append(prompt_row(golden, object_name, part_name))
    return pad_rows(rows)


def prompt_row(golden: ZSSegGolden, object_ids: list[int], part_ids: list[int]) -> list[int]:
    """One prompt, with negative ids for the learned vectors."""
    tokens, (prefix, connect, suffix) = golden.facts["tokens"], golden.prompt_lengths
    learned = [-1 - k for k in range(prefix + connect + suffix)]
    before, between, after = learned[:prefix], learned[prefix : prefix + connect], learned[prefix + connect :]
    return [tokens["start"], *before, *object_ids, *between, *part_ids, *after, tokens["dot"], tokens["end"]]


class TableTokenizer:
    """Looks names up, as the stored run did."""

    def __init__(self, golden: ZSSegGolden):
        tokens = golden.facts["tokens"]
        self.bos_token_id, self.eos_token_id = golden.special_tokens
        self.model_max_length = golden.facts["clip"]["context_length"]
        self.table = {**tokens["nouns"], ".": [tokens["dot"]], "": []}

    def __call__(self, text: str, add_special_tokens: bool) -> SimpleNamespace:
        assert not add_special_tokens
        return SimpleNamespace(input_ids=self.table[text])


def seen(golden: ZSSegGolden) -> torch.Tensor:
    return torch.tensor(golden.facts["classes"]["trainable_flag"]).bool()


def same_substring(golden: ZSSegGolden) -> torch.Tensor:
    """The original's choice of candidates (1, classes): the object's name occurs in the class's."""
    facts = golden.facts
    mask = torch.zeros(1, len(facts["classes"]["eval_parts"]), dtype=torch.bool)
    mask[0, facts["eval"]["selected_classes_for_object"]] = True
    return mask


def check_training(golden: ZSSegGolden, model, report, monkeypatch) -> None:
    """Compares proposals, matching, losses and gradients of the training batch."""
    model.zero_grad()
    model.set_trainable("segmenter")
    class_features = model.encode_classes(**class_ids(golden, "train"))
    features = model.pixel_level_module(golden.pixel_values("train.image"))
    masks = torch.cat(golden.numbered("train.obj_mask")).bool() if golden.learned else None
    proposals = model.propose(features, class_features, masks)
    golden.check_layers("pred_logits", proposals.class_logits, "train.")
    golden.check_layers("pred_masks", proposals.mask_logits, "train.")
    golden.check_training(proposals, model.config, monkeypatch).backward()
    golden.check_all_gradients(model, report)
    assert all(p.grad is None for p in model.clip.parameters())
