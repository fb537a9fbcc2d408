"""Mutated model folders through `predict`, training checkpoints through `train`, originals through `convert`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ovparts_hf import PartSegmenter
from ovparts_hf.models.auto import FAMILIES
from ovparts_hf.models.loading import load_model
from ovparts_hf.toy.world import draw
from ovparts_hf.training import train
from ovparts_hf.training.manifest import write_manifest

from ..models.clipseg.goldens import FACTS, TINY, golden_processor
from ..training.tiny import arguments, tiny_setup, weights
from .model_damage import (
    MARK,
    Evil,
    add_code,
    add_evil,
    damage_file,
    damage_header,
    damage_index,
    damage_json,
    damage_keys,
    damage_pickle,
    damage_tensor,
    damage_tensors,
)
from .mutations import mutate_bytes, mutate_json
from .runner import Case, Fault, call, files_in, run_command


class CheckpointFuzzer:
    """What is loaded is what the files hold, or they are refused; nothing in them runs."""

    def __init__(self, folder: Path) -> None:
        self.models = {}
        for family in FAMILIES:
            self.models[family] = folder / family
            for part in load_model("toy" if family == "clipseg" else f"toy-{family}"):
                part.save_pretrained(folder / family)
        self.image = folder / "image.png"
        draw("fuzz", 0).image.save(self.image)
        self.run_folder = train(arguments(folder / "run", steps=4, save_every=2), tiny_setup())
        self.weights = weights(self.run_folder)
        self.base = folder / "base"
        torch.manual_seed(0)
        CLIPSegForImageSegmentation(CLIPSegConfig(**FACTS["model_config"])).save_pretrained(self.base)
        golden_processor().save_pretrained(self.base)
        ratio = FACTS["visual_adapter"]
        self.settings = ["--set", f"adapter_reduction={ratio['reduction']}", f"adapter_ratio={ratio['ratio_adapter']}"]
        self.converted, own = self._convert(TINY.checkpoint, folder / "converted"), TINY.tensors()
        self.origins = {
            key: next((name for name in own if own[name].shape == value.shape and own[name].equal(value)), None)
            for key, value in self.converted.items()
        }

    def run(self, case: Case) -> bool:
        kinds = {"model": self._model, "training": self._training, "original": self._original}
        answered = case.choose(kinds)(case)
        if list(case.folder.rglob(MARK)):
            raise Fault("code from a file has run")
        return answered

    def _model(self, case: Case) -> bool:
        family = case.random.choice(list(FAMILIES))
        case.notes.append(family)
        folder = shutil.copytree(self.models[family], case.folder / "model")
        damage = {
            "file": damage_file,
            "JSON": damage_json,
            "tensors": damage_tensors,
            "header": damage_header,
            "pickle": damage_pickle,
        }
        case.choose({**damage, "index": damage_index, "code": add_code})(case, folder)
        loaded = call(load_model, folder)
        if loaded is not None:
            _compare(loaded[0], folder if list(folder.glob("*.safetensors")) else self.models[family])
        if case.random.random() < 0.5:
            segmenter = call(PartSegmenter.from_pretrained, folder)
            result = segmenter and call(segmenter, self.image, "bench: seat, back")
            if result and not (np.isfinite(result.scores).all() and result.label_map.shape == (120, 160)):
                raise Fault("a result without meaning")
        else:
            out = case.folder / "out"
            ending = run_command("predict", self.image, "--parts", "bench: seat", "--model", folder, "--out", out)
            if ending.code and any(data != b"(folder)" for data in files_in(out).values()):
                raise Fault(f"exit code {ending.code}, but there are {list(files_in(out))}")
        return loaded is not None

    def _training(self, case: Case) -> bool:
        """A damaged newest checkpoint: the older one continues to the same weights, or there is a sentence."""
        folder, numbers = shutil.copytree(self.run_folder, case.folder / "run"), case.random
        shutil.rmtree(folder / "last")
        trusted = numbers.random() < 0.4  # by its manifest
        for checkpoint in sorted((folder / "checkpoints").iterdir(), reverse=True)[: numbers.choice([1, 1, 2])]:
            path = numbers.choice(sorted(checkpoint.iterdir()))
            case.notes.append(f"{path.name} of {checkpoint.name}, {'trusted' if trusted else 'noticed'}")
            if path.name.endswith((".pkl", ".bin")) and (trusted or numbers.random() < 0.2):
                torch.save({"state": Evil(case.folder / MARK)}, path)
            elif path.suffix == ".json" and numbers.random() < 0.8:
                path.write_text(mutate_json(numbers, json.loads(path.read_text())))
            elif numbers.random() < 0.2 and not trusted:
                path.unlink()
            elif not trusted:
                path.write_bytes(mutate_bytes(numbers, path.read_bytes()))
            if trusted:
                (checkpoint / "manifest.json").unlink()
                write_manifest(checkpoint)
        resumed = call(train, arguments(folder, steps=4, save_every=2, resume=True), tiny_setup())
        if resumed is None:
            return False
        if not trusted and any(not torch.equal(self.weights[key], value) for key, value in weights(resumed).items()):
            raise Fault("other weights after resuming")
        return True

    def _original(self, case: Case) -> bool:
        path, out = case.folder / "model_final.pth", case.folder / "out"
        tensors = TINY.tensors()
        damage = {"bytes": self._flip, "tensor": damage_tensor, "keys": damage_keys, "evil": add_evil}
        spoil = case.choose(damage)
        if spoil == self._flip:
            path.write_bytes(mutate_bytes(case.random, TINY.checkpoint.read_bytes()))
        else:
            spoil(case, tensors)
            torch.save(case.random.choice([{"model": tensors, "iteration": 1}, tensors, {"model": tensors}]), path)
        converted = self._convert(path, out)
        if converted is None:
            if out.exists() or len(list(case.folder.iterdir())) > 1 + (case.folder / MARK).exists():
                raise Fault(f"no answer, but there are {list(case.folder.iterdir())}")
            return False
        for key, value in self.converted.items():
            origin = self.origins[key]
            expected = tensors[origin].to(value.dtype) if origin in tensors else value
            if not torch.equal(converted[key], expected):
                raise Fault(f"{key} is not what the checkpoint holds")
        return True

    def _convert(self, path: Path, out: Path) -> dict[str, torch.Tensor] | None:
        ending = run_command("convert", "clipseg", path, out, "--base", self.base, *self.settings)
        return None if ending.code else load_file(out / "model.safetensors")

    def _flip(self, case: Case, tensors: dict[str, torch.Tensor]) -> None:
        """Stands for damage to the bytes of the file."""


def _compare(model: torch.nn.Module, folder: Path) -> None:
    """Raises a fault unless every weight is that of the files."""
    stored: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            stored |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key, value in model.state_dict().items():
        if key not in stored and not key.endswith("num_batches_tracked"):
            raise Fault(f"{key} is in no file")
        if key in stored and not torch.equal(value, stored[key].to(value.dtype)):
            raise Fault(f"{key} is not what its file holds")
