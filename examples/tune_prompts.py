"""Tunes the prompts of ZSseg+ as a recipe says, and scores them beside hand-written ones.

    accelerate launch examples/tune_prompts.py --recipe examples/recipes/toy-world/zero_shot/cptcoop.yaml steps=100

Every setting of `ovparts_hf.training.PromptTuningArguments` can be given in the recipe and overridden as `key=value` or
`--key value`. The scores are of the evaluation split: parts of given objects, by their true masks.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from accelerate import PartialState

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.prompts import LearnedPrompts
from ovparts_hf.training import PromptTuningArguments, StockCLIP, classify_parts, tune_prompts
from ovparts_hf.utils.files import atomic_write

HAND_WRITTEN = ("a photo of the {part} of a {object}.", "{object} {part}")


def score(arguments: PromptTuningArguments, folder: Path) -> dict[str, dict[str, float]]:
    """Scores the tuned prompts and hand-written ones, these also with the tuned fusion of part and object."""
    prompts = LearnedPrompts.from_pretrained(folder / "last")
    tuned_weight = prompts.fuse_weight.item()
    candidates = {"tuned": (prompts, tuned_weight)}
    for template in HAND_WRITTEN:
        candidates[template] = (template, 1.0)
        candidates[f"{template} (tuned fusion)"] = (template, tuned_weight)
    clip = StockCLIP.load(arguments.model)
    dataset = PartDataset.load(arguments.data)
    return {
        name: classify_parts(
            clip,
            dataset,
            chosen,
            arguments.task,
            fuse_weight=weight,
            crop_ratio=arguments.crop_ratio,
            region_size=arguments.region_size,
            cache=arguments.cache,
            workers=arguments.workers,
        )
        for name, (chosen, weight) in candidates.items()
    }


def main() -> None:
    """Reads the command line, tunes and scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help="YAML file with settings")
    options, overrides = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments = PromptTuningArguments.from_recipe(options.recipe, overrides)
        folder = tune_prompts(arguments)
        scores = score(arguments, folder)
    except OVPartsError as error:
        raise SystemExit(f"error: {error}") from error
    if PartialState().is_main_process:
        with atomic_write(folder / "scores.json") as temporary:
            temporary.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        print(f"{'accuracy in percent':58}   seen  unseen  harmonic")
        for name, numbers in scores.items():
            columns = (numbers[f"accuracy_{group}"] for group in ("seen", "unseen", "harmonic"))
            print(f"{name:58} {'  '.join(f'{number:6.1f}' for number in columns)}")


if __name__ == "__main__":
    main()
