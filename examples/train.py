"""Fine-tunes a model as a recipe says; the same as `ovparts train`, for launchers that want a script.

    accelerate launch examples/train.py --recipe examples/recipes/toy-world/zero_shot/clipseg.yaml steps=100

Every setting of `ovparts_hf.training.TrainArguments` can be given in the recipe and overridden as `key=value` or
`--key value`.
"""

import sys

from ovparts_hf.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
