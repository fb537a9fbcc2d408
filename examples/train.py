"""Fine-tunes a model as a recipe says; the same as `ovparts train`, for launchers that want a script.

    accelerate launch examples/train.py --recipe examples/recipes/toy-world/zero_shot/clipseg.yaml steps=100

Every setting of `ovparts_hf.training.TrainArguments` can be given in the recipe and overridden as `key=value` or
`--key value`.
"""

import argparse
from pathlib import Path

from ovparts_hf.errors import OVPartsError
from ovparts_hf.training import TrainArguments, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help="YAML file with training arguments")
    options, overrides = parser.parse_known_args()
    try:
        print(train(TrainArguments.from_recipe(options.recipe, overrides)))
    except OVPartsError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
