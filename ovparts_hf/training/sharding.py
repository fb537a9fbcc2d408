"""Training with FSDP2, which cuts parameters into shards; checkpoints hold them whole, as those of other runs do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from accelerate import Accelerator
from accelerate.checkpointing import save_accelerator_state
from accelerate.utils import DistributedType, is_torch_version, parse_flag_from_env, recursively_apply
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from ..errors import ConfigurationError


def plan_shards(accelerator: Accelerator, model: nn.Module) -> None:
    """Keeps single numbers whole, of which FSDP2 makes no shards; to be called before `Accelerator.prepare`.

    Their gradients would not be averaged, so they must not be trained.
    """
    if accelerator.distributed_type != DistributedType.FSDP:
        if accelerator.num_processes > 1 and parse_flag_from_env("ACCELERATE_USE_FSDP"):
            raise ConfigurationError(
                f"FSDP was chosen, but on {accelerator.device.type} accelerate makes no shards: train with DDP there "
                "(examples/accelerate/cpu_2.yaml)."
            )
        return
    if not accelerator.is_fsdp2 or is_torch_version("<", "2.7"):
        raise ConfigurationError("Of FSDP, only version 2 is supported, from PyTorch 2.7 on: set --fsdp_version 2.")
    numbers = {name: parameter for name, parameter in model.named_parameters() if parameter.dim() == 0}
    trained = [name for name, parameter in numbers.items() if parameter.requires_grad]
    if trained:
        raise ConfigurationError(f"FSDP makes no shards of single numbers such as {trained[0]}: train without FSDP.")
    try:
        getattr(model, "get_input_embeddings", lambda: None)()
    except NotImplementedError as error:
        raise ConfigurationError(
            "FSDP asks a model for its token embeddings, and one with a closed vocabulary, such as MaskFormer, has "
            "none: train without FSDP."
        ) from error
    plugin = accelerator.state.fsdp_plugin
    plugin.ignored_modules = [nn.ParameterList(numbers.values()).to(accelerator.device)]
    if plugin.transformer_cls_names_to_wrap is None:  # accelerate shards the token embeddings by themselves
        layers = getattr(model, "_no_split_modules", None) or ()
        plugin.transformer_cls_names_to_wrap = [name for name in layers if not name.endswith("Embeddings")]
    plugin.cpu_ram_efficient_loading = False  # each process has loaded the weights


def save_whole(accelerator: Accelerator, folder: Path) -> None:
    """`Accelerator.save_state` for FSDP2, with the files that it writes without; all processes call it together."""
    [model], [optimizer] = accelerator._models, accelerator._optimizers
    weights, states = _whole(model.state_dict()), _whole(optimizer.state_dict())
    folder.mkdir(parents=True, exist_ok=True)
    whole = SimpleNamespace(state_dict=lambda: states)
    process, step = accelerator.process_index, accelerator.step
    save_accelerator_state(str(folder), [weights], [whole], [], [], process, step, accelerator.scaler)


def load_whole_weights(model: nn.Module, weights: dict[str, Any]) -> None:
    """Loads whole weights into a model in shards."""
    own = model.state_dict()
    model.load_state_dict({name: _like(value, own[name]) if name in own else value for name, value in weights.items()})


def load_whole_optimizer(optimizer: Optimizer, stored: dict[str, Any]) -> None:
    """Loads the whole state of an optimiser whose parameters are in shards."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        number: {
            name: _like(value, parameters[number]) if value.shape == parameters[number].shape else value
            for name, value in values.items()
        }
        for number, values in stored["state"].items()
    }
    optimizer.load_state_dict({**stored, "state": state})


def _whole(values: Any) -> Any:
    return recursively_apply(lambda part: part.full_tensor().cpu(), values, test_type=lambda v: isinstance(v, DTensor))


def _like(value: Any, own: Any) -> Any:
    """A tensor in the shards of another one, if that has any."""
    return distribute_tensor(value, own.device_mesh, own.placements) if isinstance(own, DTensor) else value
