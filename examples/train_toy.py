"""Trains the part model of the toy world that ships with the library, the default of whatever segments an image.

It is what `ovparts demo` trains, for longer: the toy CLIPSeg, fine-tuned on the parts of seen objects only. The shipped
weights come from

    python examples/train_toy.py --output-dir ovparts_hf/toy/trained

which takes about ten minutes on two CPU cores and is deterministic on one machine with a fixed number of threads, two
here.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from transformers import PreTrainedModel

from ovparts_hf import PartDataset, evaluate_model, load_model
from ovparts_hf.cli.demo import RECIPES
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import ToyWorld
from ovparts_hf.models.processing import PartSegmentationProcessor
from ovparts_hf.training import TrainArguments, train
from ovparts_hf.utils.files import atomic_folder


def main() -> None:
    """Draws the toy world, trains, saves, and scores what was saved, all but the model in a temporary folder."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model; replaced if it exists")
    parser.add_argument("--steps", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        data = write_repository(ToyWorld(), Path(work) / "data")
        settings = {
            "data": data,
            "output": Path(work) / "run",
            "steps": options.steps,
            "seed": options.seed,
            "batch_size": 8,
            "threads": 2,
        }
        given = [f"{name}={value}" for name, value in settings.items()]
        run = train(TrainArguments.from_recipe(RECIPES["clipseg"], given))
        save_half(*load_model(run / "last"), options.output_dir)
        print(evaluate_model(*load_model(options.output_dir), PartDataset.load(data)).table())


def save_half(model: PreTrainedModel, processor: PartSegmentationProcessor, folder: Path) -> None:
    """Writes a model with weights in half precision, which are read back as float32, and its processor."""
    with atomic_folder(folder) as temporary:
        model.half().save_pretrained(temporary)
        model.config.dtype = "float32"
        model.config.save_pretrained(temporary)
        processor.save_pretrained(temporary)


if __name__ == "__main__":
    main()
