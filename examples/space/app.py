"""A Hugging Face Space with the web page of ovparts_hf, or the same on your machine: `python app.py`.

OVPARTS_MODEL names one or more models, with spaces between them: Hub repositories or folders; by default the toy model
that comes with the library. OVPARTS_MCP=1 lets language models use the page as a tool.
"""

import os
from contextlib import suppress

with suppress(ImportError):
    import spaces  # noqa: F401 (lends a GPU for each request on ZeroGPU; it must come before torch)

from ovparts_hf import PartSegmenter
from ovparts_hf.app import launch_app

DEVICE = "cuda" if os.environ.get("SPACES_ZERO_GPU") else None  # there, models are put on it before any request
MODELS = os.environ.get("OVPARTS_MODEL", "toy-trained").split()
segmenters = {name: PartSegmenter.from_pretrained(name, device=DEVICE) for name in MODELS}

if __name__ == "__main__":
    if "SPACE_ID" in os.environ:  # visitors come through a proxy, and only through it; it says who they are
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    launch_app(segmenters, mcp_server=os.environ.get("OVPARTS_MCP") == "1")
