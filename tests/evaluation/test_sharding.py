"""An evaluation of a model whose parameters FSDP2 has cut into shards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from ovparts_hf.evaluation.sharding import whole_parameters
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation

from ..models.clipseg.goldens import golden_config
from ..training.two_processes import run_in_two_processes


def score_sharded(out: Path) -> None:
    """Compares a model in shards with the whole one, a different number of times in each process."""
    rank = Accelerator().process_index
    torch.manual_seed(0)
    model = CLIPSegForPartSegmentation(golden_config()).eval()
    pixels, ids = torch.randn(1, 3, 64, 64), torch.tensor([[60, 5, 6, 63], [60, 7, 8, 63]])
    ids = ids.clamp(max=model.config.text_config.vocab_size - 1)
    with torch.no_grad():
        expected = model(pixels, input_ids=ids).logits
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.clip.vision_model.encoder.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh, ignored_params={model.clip.logit_scale})  # FSDP2 takes no scalar
    model(pixels, input_ids=ids, labels=torch.zeros(1, 64, 64, dtype=torch.long)).loss.backward()
    assert {name for name, p in model.named_parameters() if not isinstance(p, DTensor)} == {"clip.logit_scale"}
    with whole_parameters(model), torch.no_grad():
        for _ in range(1 + rank):
            features = model.encode_classes(ids)
            torch.testing.assert_close(model(pixels, class_features=features).logits, expected)
    assert isinstance(model.none_embedding, DTensor)
    (out / str(rank)).touch()


@pytest.mark.skipif(torch.__version__ < "2.7", reason="FSDP2 with single numbers needs PyTorch 2.7")
def test_shards_are_whole_for_an_evaluation(tmp_path: Path) -> None:
    run_in_two_processes(score_sharded, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_other_models_stay_as_they_are() -> None:
    model = torch.nn.Linear(2, 2)
    with whole_parameters(model):
        assert model(torch.zeros(1, 2)).shape == (1, 2)
