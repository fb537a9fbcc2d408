"""A Hugging Face Space with the web page of ovparts_hf, or the same on your machine: `python app.py`.

OVPARTS_MODEL names the model: a Hub repository or a folder; by default the toy model that comes with the library.
"""

import os

from ovparts_hf import PartSegmenter
from ovparts_hf.app import launch_app

if __name__ == "__main__":
    if "SPACE_ID" in os.environ:  # visitors come through a proxy, and only through it; it says who they are
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    launch_app(PartSegmenter.from_pretrained(os.environ.get("OVPARTS_MODEL", "toy-trained")))
