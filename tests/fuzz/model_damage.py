"""Damage to the files of a model, and code where none belongs."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from .mutations import mutate_bytes, mutate_json
from .runner import Case

MARK = "code-ran"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def damage_file(case: Case, folder: Path) -> None:
    path = case.random.choice(sorted(folder.iterdir()))
    case.notes.append(path.name)
    if case.random.random() < 0.2:
        path.unlink()
    else:
        path.write_bytes(mutate_bytes(case.random, path.read_bytes()))


def damage_json(case: Case, folder: Path) -> None:
    path = case.random.choice(sorted(folder.glob("*.json")) + 4 * [folder / "config.json"])
    case.notes.append(path.name)
    text = mutate_json(case.random, json.loads(path.read_text()))
    path.write_text(text, encoding="utf-8", errors="surrogatepass")


def damage_tensors(case: Case, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    for _ in range(case.random.choice([1, 1, 3])):
        case.choose({"tensor": damage_tensor, "keys": damage_keys})(case, tensors)
    tensors = {key: value.to_dense().contiguous() for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def damage_tensor(case: Case, tensors: dict[str, Any]) -> None:
    key, numbers = case.random.choice(list(tensors)), case.random
    value, flat = tensors[key], tensors[key].flatten()
    place = numbers.randrange(len(flat))
    others = {
        "NaN": lambda: _with(flat, place, float("nan")).view_as(value),
        "infinite": lambda: _with(flat, place, float("inf")).view_as(value),
        "other": lambda: _with(flat, place, 0.5).view_as(value),
        "half": lambda: value.half(),
        "double": lambda: value.double(),
        "integers": lambda: value.long(),
        "longer": lambda: torch.cat([flat, flat]),
        "shorter": lambda: flat[:-1],
        "flat": lambda: flat,
        "transposed": lambda: value.T if value.dim() == 2 else value[None],
        "empty": lambda: flat[:0],
    }
    tensors[key] = case.choose(others)().clone()
    case.notes.append(key)


def _with(flat: torch.Tensor, place: int, value: float) -> torch.Tensor:
    flat = flat.clone() if flat.is_floating_point() else flat.float()
    flat[place] = value
    return flat


def damage_keys(case: Case, tensors: dict[str, Any]) -> None:
    key, other = case.random.sample(list(tensors), 2)
    kinds = {
        "remove": lambda: tensors.pop(key),
        "rename": lambda: tensors.update({f"{key}x": tensors.pop(key)}),
        "add": lambda: tensors.update(x=torch.ones(2)),
        "copy": lambda: tensors.update({f"module.{key}": tensors[key].clone()}),
        "swap": lambda: tensors.update({key: tensors[other].clone(), other: tensors[key].clone()}),
    }
    case.choose(kinds)()
    case.notes.append(f"{key}, {other}")


def add_evil(case: Case, tensors: dict[str, Any]) -> None:
    tensors[case.random.choice([*tensors, "x"])] = Evil(case.folder / MARK)


def damage_header(case: Case, folder: Path) -> None:
    """Changes what the header of the weights says: types, shapes, places, its own length."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = mutate_json(case.random, json.loads(data[8 : 8 + length])).encode("utf-8", "surrogatepass")
    claimed = case.random.choice([len(header), len(header), len(header), 0, 2**40, 2**64 - 1])
    path.write_bytes(struct.pack("<Q", claimed) + header + data[8 + length :])


def damage_pickle(case: Case, folder: Path) -> None:
    """Damages a file of `torch.save` that holds the weights instead."""
    path = folder / "pytorch_model.bin"
    torch.save(load_file(folder / "model.safetensors"), path)
    (folder / "model.safetensors").unlink()
    path.write_bytes(mutate_bytes(case.random, path.read_bytes()))


def damage_index(case: Case, folder: Path) -> None:
    """Splits the weights into two files, with an index that may lie."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for number, name in enumerate(names):
        save_file(dict(list(tensors.items())[number::2]), folder / name, {"format": "pt"})
    places = {key: names[number % 2] for number, key in enumerate(tensors)}
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    lies = {
        "true": lambda: json.dumps(index),
        "JSON": lambda: mutate_json(case.random, index),
        "outside": lambda: json.dumps(index | {"weight_map": places | {next(iter(places)): "../x.safetensors"}}),
        "exchanged": lambda: json.dumps(index | {"weight_map": dict(zip(places, reversed(places.values())))}),
    }
    text = case.choose(lies)()
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8", errors="surrogatepass")


def add_code(case: Case, folder: Path) -> None:
    """Names code in the folder wherever transformers would look for it, or pickles some."""
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(case.folder / MARK)!r})\nclass Evil: pass\n")
    names = ["AutoConfig", "AutoModel", "AutoModelForSemanticSegmentation", "AutoProcessor", "AutoTokenizer"]
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        if (folder / name).exists() and case.random.random() < 0.7:
            settings = json.loads((folder / name).read_text())
            settings["auto_map"] = dict.fromkeys([*names, "AutoImageProcessor"], "evil.Evil")
            if case.random.random() < 0.5:
                settings["model_type"] = "evil"
            (folder / name).write_text(json.dumps(settings))
    if case.random.random() < 0.5:
        (folder / "model.safetensors").unlink()
        torch.save(Evil(case.folder / MARK), folder / "pytorch_model.bin")
