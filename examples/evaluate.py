"""Scores a model by the benchmark's protocol; the same as `ovparts evaluate`, for launchers that want a script.

accelerate launch examples/evaluate.py outputs/toy/last data/toy --task zero_shot --out outputs/toy/evaluation
"""

import sys

from ovparts_hf.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
