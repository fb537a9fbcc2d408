"""`python -m ovparts_hf` is the command `ovparts`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
