"""Writes docs/recipe_costs.md: the memory that a step of each recipe takes.

    python examples/recipe_costs.py --measure pascal-part-116/zero_shot/clipseg

What models and optimisers take is counted for every recipe. Activations are measured for the recipes that are named, as
by `ovparts train --dry-run`, and kept in docs/recipe_costs.json beside those of earlier calls; this takes minutes for
each on a CPU.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers.initialization import no_init_weights

from ovparts_hf.training import PromptTuningArguments, TrainArguments
from ovparts_hf.training.dry_run import estimate_run, stand_in
from ovparts_hf.training.measure import held_tensors
from ovparts_hf.training.recipes import recipe_names
from ovparts_hf.utils.files import atomic_write, read_json

DOCS = Path(__file__).parents[1] / "docs"
MEASURED = DOCS / "recipe_costs.json"
HEAD = """# What recipes take

Memory of a training step in float32, in GB (10^9 bytes), for one process with the whole batch in one pass. `python
examples/recipe_costs.py` writes this page; `ovparts train RECIPE --dry-run` says the same, and the time, for your
machine and settings, [and how it is found](training.md#threads-precision-and-memory).

Parameters with buffers, gradients and the optimiser's state are counted. Where there is a number of activations, it was
measured on a CPU by passes of one and of two images (in prompt tuning: regions), and extrapolated to the batch. Recipes
without were not measured; those of the same model for another dataset or task differ in the number of classes alone.

| recipe | batch | trained, millions | parameters | gradients | optimiser | activations of one | each further | in all |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def read_recipe(words: str) -> TrainArguments | PromptTuningArguments:
    """The arguments of a recipe, "NAME key=value ..."."""
    name, *overrides = words.split()
    kind = PromptTuningArguments if Path(name).name.startswith("cpt") else TrainArguments
    return kind.from_recipe(name, overrides)


def measure(words: str) -> dict[str, int]:
    """Bytes of activations of a pass of one image, and of each further one."""
    estimate = estimate_run(replace(read_recipe(words), threads=1, batch_size=2))
    further = estimate.activations_per_image
    return {"one": estimate.activations - further, "further": further}


def short(number: float) -> str:
    """Two decimals, or two digits of what is small."""
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


def row(words: str, measured: dict[str, Any] | None) -> str:
    """A line of the table."""
    arguments = read_recipe(words)
    with no_init_weights():
        setup, _ = stand_in(arguments)
    parameters = sum(tensor.nbytes for tensor in held_tensors(setup.model))
    gradients = sum(parameter.nbytes for parameter in setup.model.parameters() if parameter.requires_grad)
    states = gradients * (2 if arguments.optimizer == "adamw" else 1)
    cells = [f"`{words}`", str(arguments.batch_size), short(gradients / 4e6)]
    cells += [short(size / 1e9) for size in (parameters, gradients, states)]
    if measured is None:
        cells += ["", "", ""]
    else:
        activations = measured["one"] + (arguments.batch_size - 1) * measured["further"]
        sizes = measured["one"], measured["further"], parameters + gradients + states + activations
        cells += [short(size / 1e9) for size in sizes]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", default=[], help='recipes, each a name or "NAME key=value ..."')
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    measured = read_json(MEASURED, ValueError) if MEASURED.exists() else {}
    for words in options.measure:
        measured[words] = measure(words)
        logging.info("%s: %s", words, measured[words])
        with atomic_write(MEASURED) as temporary:
            temporary.write_text(json.dumps(dict(sorted(measured.items())), indent=1) + "\n", encoding="utf-8")
    rows = [row(words, measured.get(words)) for words in sorted({*recipe_names(), *measured})]
    with atomic_write(DOCS / "recipe_costs.md") as temporary:
        temporary.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
