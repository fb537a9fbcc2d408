"""OpenAI's CLIP weights in transformers' layout."""

import torch
from transformers import CLIPConfig, CLIPModel

from ovparts_hf.models.clip import translate_clip

WIDTH = {"visual.": 32, "": 24}


def openai_keys(layers: int = 2) -> dict[str, torch.Tensor]:
    """A random checkpoint with OpenAI's names: towers of 32 and 24 channels, 16-dimensional features."""
    torch.manual_seed(0)
    state = {
        "visual.conv1.weight": torch.randn(32, 3, 8, 8),
        "visual.class_embedding": torch.randn(32),
        "visual.positional_embedding": torch.randn(17, 32),
        "visual.proj": torch.randn(32, 16),
        "text_projection": torch.randn(24, 16),
        "token_embedding.weight": torch.randn(50, 24),
        "positional_embedding": torch.randn(12, 24),
        "logit_scale": torch.randn(()),
    }
    for norm, width in (("visual.ln_pre", 32), ("visual.ln_post", 32), ("ln_final", 24)):
        state |= {f"{norm}.weight": torch.randn(width), f"{norm}.bias": torch.randn(width)}
    for tower, width in WIDTH.items():
        for layer in range(layers):
            block = f"{tower}transformer.resblocks.{layer}"
            state |= {f"{block}.attn.in_proj_weight": torch.randn(3 * width, width)}
            state |= {f"{block}.attn.in_proj_bias": torch.randn(3 * width)}
            for name, shape in {
                "attn.out_proj": (width, width),
                "mlp.c_fc": (4 * width, width),
                "mlp.c_proj": (width, 4 * width),
            }.items():
                state |= {f"{block}.{name}.weight": torch.randn(shape), f"{block}.{name}.bias": torch.randn(shape[0])}
            for norm in ("ln_1", "ln_2"):
                state |= {f"{block}.{norm}.weight": torch.randn(width), f"{block}.{norm}.bias": torch.randn(width)}
    return state


def test_every_weight_of_clip_is_filled_once():
    text = dict(hidden_size=24, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, vocab_size=50)
    vision = dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2)
    config = CLIPConfig(
        text_config=text | dict(max_position_embeddings=12),
        vision_config=vision | dict(image_size=32, patch_size=8),
        projection_dim=16,
    )
    translated = [translate_clip(key, tensor) for key, tensor in openai_keys().items()]
    names = [name for tensors in translated for name in tensors]
    assert len(names) == len(set(names))
    CLIPModel(config).load_state_dict({name: t for tensors in translated for name, t in tensors.items()})


def test_in_projections_are_split_into_query_key_and_value():
    fused = torch.arange(9.0)
    parts = translate_clip("visual.transformer.resblocks.3.attn.in_proj_bias", fused)
    assert {name.split(".")[-2]: part.tolist() for name, part in parts.items()} == {
        "q_proj": [0, 1, 2],
        "k_proj": [3, 4, 5],
        "v_proj": [6, 7, 8],
    }


def test_projections_are_transposed_and_half_precision_becomes_single():
    tensor = torch.randn(4, 3, dtype=torch.float16)
    assert torch.equal(translate_clip("visual.proj", tensor)["visual_projection.weight"], tensor.T.float())


def test_other_keys_are_not_clips():
    for key in ("visual.attnpool.q_proj.weight", "transformer.resblocks.0.attn.bias", "extra"):
        assert translate_clip(key, torch.zeros(3)) is None
