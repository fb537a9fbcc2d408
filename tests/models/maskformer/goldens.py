"""Stored runs of the original's mask classification models, and tiny models of their sizes."""

import pytest
import torch
from transformers.models.maskformer import modeling_maskformer

from ovparts_hf.models.maskformer.configuration_maskformer import MaskFormerPartConfig
from ovparts_hf.models.maskformer.losses import mask_classification_loss

from ... import golden_folder


class Golden(golden_folder.Golden):
    """A stored run of a model that proposes masks."""

    def mask_classification_sizes(self) -> dict:
        """Arguments of `MaskClassificationConfig` that differ from those of the full-size model."""
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
            "activation_function": transformer["activation"],
            "dropout": transformer["dropout"],
            "attention_dropout": transformer["dropout"],
            "activation_dropout": transformer["dropout"],
        }

    def mask_classification_settings(self) -> dict:
        """Arguments of `MaskClassificationConfig`."""
        sizes, loss = self.mask_classification_sizes(), self.facts.get("loss", {})
        sizes["backbone_config"]["depths"] = self.facts["backbone"]["depths"]
        weights = {
            "no_object_weight": "no_object_weight",
            "cross_entropy_weight": "class_weight",
            "mask_weight": "mask_weight",
            "dice_weight": "dice_weight",
        }
        return sizes | {ours: loss[original] for ours, original in weights.items() if original in loss}

    def pixel_values(self, name: str) -> torch.Tensor:
        """A stored image, or the batch of those that are numbered, normalised."""
        mean, std = (torch.tensor(self.facts[f"pixel_{kind}"])[:, None, None] for kind in ("mean", "std"))
        images = [self.inputs[name]] if name in self.inputs else self.numbered(name)
        return torch.stack([(image.float() - mean) / std for image in images])

    def targets(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        masks = [masks.float() for masks in self.numbered("train.part_masks")]
        return masks, self.numbered("train.part_labels")

    def label_map(self) -> torch.Tensor:
        """The targets as label maps, if no pixel is in two masks."""
        maps = []
        for masks, ids in zip(*self.targets()):
            if masks.sum(0).max() > 1:
                pytest.skip("the stored masks overlap")
            maps.append(torch.where(masks.any(0), (masks * ids[:, None, None]).sum(0), 255).long())
        return torch.stack(maps)

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
        targets = self.targets()
        losses = mask_classification_loss(proposals.class_logits, proposals.mask_logits, targets, config)
        layers = [f"aux{i}" for i in range(len(proposals.class_logits) - 1)] + ["final"]
        names = [f"match.{layer}.img{i}" for layer in layers for i in range(len(targets[0]))]
        for name, cost, (query_ids, target_ids) in zip(names, costs, pairs, strict=True):
            self.check(f"{name}.cost", torch.as_tensor(cost))
            assert query_ids.tolist() == self.outputs[f"{name}.query_idx"].tolist()
            assert target_ids.tolist() == self.outputs[f"{name}.target_idx"].tolist()
        expected = {name for name in self.outputs if name.startswith("loss_weighted.")}
        assert {f"loss_weighted.{name}" for name in losses} == expected
        for name, loss in losses.items():
            self.check(f"loss_weighted.{name}", loss)
            weight = {"loss_mask": config.mask_weight, "loss_dice": config.dice_weight}.get(name.rstrip("_0123456789"))
            self.check(f"loss_unweighted.{name}", loss / (weight or config.cross_entropy_weight))
        total = sum(losses.values())
        self.check("loss_total", total)
        return total

    def check_all_gradients(self, model, report) -> None:
        """Compares the stored gradients, and the norm of all."""
        self.check_gradients(model, report)
        norm = sum(p.grad.square().sum() for p in model.parameters() if p.grad is not None).sqrt()
        self.check("grad_norm_all_trainable", norm)


TINY = Golden("maskformer")


def golden_config(golden: Golden = TINY, **changes) -> MaskFormerPartConfig:
    settings = {**golden.mask_classification_settings(), "num_labels": golden.facts["num_classes"]}
    return MaskFormerPartConfig(**{**settings, **changes})
