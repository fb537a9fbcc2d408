"""Stored runs of the original's mask classification models."""

import json
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers.models.maskformer import modeling_maskformer

from ovparts_hf.models.maskformer.losses import mask_classification_loss

FOLDER = Path(__file__).parents[2] / "goldens"


class Golden:
    """One folder of stored tensors."""

    def __init__(self, name: str):
        self.folder = FOLDER / name
        self.checkpoint = self.folder / "checkpoint.pth"
        self.facts = json.loads((self.folder / "config.json").read_text())

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "inputs.safetensors")

    @cached_property
    def outputs(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "outputs.safetensors")

    def tensors(self) -> dict[str, torch.Tensor]:
        return torch.load(self.checkpoint, weights_only=True)["model"]

    def keys(self, name: str) -> dict[str, list[int]]:
        """Key -> shape of a full-size checkpoint."""
        content = json.loads((self.folder / f"fullsize_keys_{name}.json").read_text())
        return {key: shape for key, (shape, _) in content.items()}

    def mask_classification_sizes(self) -> dict:
        """Arguments of `MaskClassificationConfig`."""
        facts, transformer = self.facts, self.facts["transformer"]
        return {
            "backbone_config": {
                "embedding_size": facts["backbone"]["stem_out_channels"],
                "hidden_sizes": facts["backbone"]["out_channels"],
            },
            "fpn_feature_size": facts["pixel_decoder"]["conv_dim"],
            "mask_feature_size": facts["pixel_decoder"]["mask_dim"],
            "hidden_size": transformer["hidden_dim"],
            "num_queries": transformer["num_queries"],
            "decoder_layers": transformer["dec_layers"],
            "decoder_attention_heads": transformer["nheads"],
            "decoder_ffn_dim": transformer["dim_feedforward"],
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "activation_dropout": 0.0,
        }

    def pixel_values(self, *names: str) -> torch.Tensor:
        """Stored images, normalised."""
        mean, std = (torch.tensor(self.facts[f"pixel_{kind}"])[:, None, None] for kind in ("mean", "std"))
        return torch.stack([(self.inputs[name].float() - mean) / std for name in names])

    def targets(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        masks = [self.inputs[f"train.part_masks{i}"].float() for i in range(2)]
        return masks, [self.inputs[f"train.part_labels{i}"] for i in range(2)]

    def label_map(self) -> torch.Tensor:
        """The targets as label maps, if no pixel is in two masks."""
        maps = []
        for masks, ids in zip(*self.targets()):
            assert masks.sum(0).max() == 1
            maps.append(torch.where(masks.any(0), (masks * ids[:, None, None]).sum(0), 255).long())
        return torch.stack(maps)

    def check(self, name: str, actual: torch.Tensor, expected: torch.Tensor | None = None) -> None:
        """Compares with ten times the rounding noise of the stored run, and eight units in the last place."""
        expected = self.outputs[name] if expected is None else expected
        noise = self.facts["float32_vs_float64_max_abs_diff"].get(name, 0)
        assert_close(actual, expected, atol=10 * noise + 1e-6, rtol=1e-6, msg=lambda text: f"{name}: {text}")

    def check_layers(self, name: str, actual: torch.Tensor, case: str = "") -> None:
        """Compares (layers, ...): the last layer as `name`, those before it as auxiliary outputs."""
        for depth, layer in enumerate(actual):
            prefix = "" if depth == len(actual) - 1 else f"aux{depth}."
            self.check(f"{case}{prefix}{name}", layer)

    def check_training(self, proposals, config, monkeypatch) -> torch.Tensor:
        """Compares costs, matchings and losses; returns the loss."""
        costs, solve = [], modeling_maskformer.linear_sum_assignment
        pairs = []

        def spy(cost):
            costs.append(cost)
            pairs.append(solve(cost))
            return pairs[-1]

        monkeypatch.setattr(modeling_maskformer, "linear_sum_assignment", spy)
        losses = mask_classification_loss(*proposals, self.targets(), config)
        layers = [f"aux{i}" for i in range(len(proposals.class_logits) - 1)] + ["final"]
        names = [f"match.{layer}.img{i}" for layer in layers for i in range(2)]
        for name, cost, (queries, targets) in zip(names, costs, pairs, strict=True):
            self.check(f"{name}.cost", cost)
            assert queries.tolist() == self.outputs[f"{name}.query_idx"].tolist()
            assert targets.tolist() == self.outputs[f"{name}.target_idx"].tolist()
        expected = {name for name in self.outputs if name.startswith("loss_weighted.")}
        assert {f"loss_weighted.{name}" for name in losses} == expected
        for name, loss in losses.items():
            self.check(f"loss_weighted.{name}", loss)
            weight = {"loss_mask": config.mask_weight, "loss_dice": config.dice_weight}.get(name.rstrip("_0123456789"))
            self.check(f"loss_unweighted.{name}", loss / (weight or config.cross_entropy_weight))
        total = sum(losses.values())
        self.check("loss_total", total)
        return total

    def check_gradients(self, model, report) -> None:
        """Compares the stored gradients, and the norm of all."""
        parameters = dict(model.named_parameters())
        names = [name for name in self.outputs if name.startswith("grad.")]
        assert names
        for name in names:
            own = [parameters[part].grad for part in report.used[name.removeprefix("grad.")]]
            self.check(name, torch.cat(own).reshape(self.outputs[name].shape))
        norm = sum(p.grad.square().sum() for p in model.parameters() if p.grad is not None).sqrt()
        self.check("grad_norm_all_trainable", norm)


def resized(scores: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    return F.interpolate(scores, size=tuple(size.tolist()), mode="bilinear", align_corners=False)
