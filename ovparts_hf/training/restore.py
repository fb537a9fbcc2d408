"""Reads a checkpoint without running code from it: JSON, safetensors, and pickles of tensors and numbers alone."""

from __future__ import annotations

import codecs
import logging
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, load_model
from torch import nn
from torch.optim import Optimizer

from ..errors import CheckpointError
from ..utils.files import read_json
from .sharding import load_whole_optimizer, load_whole_weights

logger = logging.getLogger(__name__)

PROGRESS_FILE = "progress.json"
EARLIER_PROGRESS_FILE = "custom_checkpoint_0.pkl"  # of versions that kept progress and schedule as pickles

_ARRAYS = [  # what pickles of numpy's random state and numbers refer to
    np.ndarray,
    np.dtype,
    np.dtypes.UInt32DType,
    np.dtypes.Float64DType,
    np.empty(0).__reduce__()[0],
    np.float64(0).__reduce__()[0],
    codecs.encode,
]


def restore(
    folder: Path, accelerator: Accelerator, model: nn.Module, optimizer: Optimizer, progress: Mapping[str, Any]
) -> None:
    """Restores what was prepared, random numbers, and what was given to `save_checkpoint`: `progress`, by name.

    A checkpoint that cannot be read, does not fit, or holds anything but data is a `CheckpointError`.
    """
    try:
        stored = _progress(folder)
        for name, part in progress.items():
            part.load_state_dict(stored[name])
        weights_file, optimizer_state = folder / "model.safetensors", load_data(folder / "optimizer.bin")
        if accelerator.is_fsdp2:
            load_whole_weights(model, load_file(weights_file))
            load_whole_optimizer(optimizer, optimizer_state)
        else:
            load_model(accelerator.unwrap_model(model), weights_file)
            optimizer.load_state_dict(optimizer_state)
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(load_data(folder / "scaler.pt"))
        _restore_random_numbers(folder, accelerator)
    except CheckpointError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"The checkpoint {folder} cannot be resumed from: {reason}. Remove it to continue from the one before, if "
            "there is one, or start the run anew with overwrite=true."
        ) from error


def load_data(path: Path) -> Any:
    """Reads a file of `torch.save`; objects other than tensors, numbers and containers of them are refused."""
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors and numbers. It is not read, since that could run code; "
            "remove its folder, or start the run anew with overwrite=true."
        ) from error


def _progress(folder: Path) -> dict[str, Any]:
    if (folder / PROGRESS_FILE).exists():
        return read_json(folder / PROGRESS_FILE, CheckpointError)
    schedule = load_data(folder / "custom_checkpoint_1.pkl")
    return {"state": load_data(folder / EARLIER_PROGRESS_FILE), "schedule": schedule}


def _restore_random_numbers(folder: Path, accelerator: Accelerator) -> None:
    path = folder / f"random_states_{accelerator.process_index}.pkl"
    if accelerator.process_index > 0 and not path.exists():
        logger.warning("%s comes from fewer processes; this one draws new random numbers.", folder)
        return
    states = load_data(path)
    random.setstate(states["random_state"])
    np.random.set_state(states["numpy_random_seed"])
    torch.set_rng_state(states["torch_manual_seed"])
    if torch.cuda.is_available() and "torch_cuda_manual_seed" in states:
        torch.cuda.set_rng_state_all(states["torch_cuda_manual_seed"])
