"""Tunes the prompts of ZSseg+ as a recipe says; the same as `ovparts tune-prompts`, for launchers that want a script.

    accelerate launch examples/tune_prompts.py --recipe examples/recipes/toy-world/zero_shot/cptcoop.yaml steps=100

Every setting of `ovparts_hf.training.PromptTuningArguments` can be given in the recipe and overridden as `key=value` or
`--key value`. The tuned prompts are scored beside hand-written ones on the evaluation split: parts of given objects, by
their true masks.
"""

import sys

from ovparts_hf.cli import main

if __name__ == "__main__":
    sys.exit(main(["tune-prompts", *sys.argv[1:]]))
