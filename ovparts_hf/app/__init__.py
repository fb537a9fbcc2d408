"""The web page: give an image, name objects and their parts, see and download the result. It needs gradio."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..inference.segmenter import PartSegmenter
from .work import Limits

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["Limits", "build_app", "check_gradio", "launch_app"]


def build_app(segmenter: PartSegmenter, limits: Limits | None = None, concurrency: int = 1) -> gr.Blocks:
    """Makes the page, as `launch_app` does; nothing is served yet."""
    check_gradio()
    from .page import build_page

    return build_page(segmenter, limits or Limits(), concurrency)


def launch_app(
    segmenter: PartSegmenter,
    limits: Limits | None = None,
    concurrency: int = 1,
    host: str | None = None,
    port: int | None = None,
    block: bool = True,
) -> gr.Blocks:
    """Makes the page and serves it. There is no tunnel to the outside, and nothing is sent anywhere.

    `concurrency` requests are served at the same time; others wait in a queue of bounded length. The page listens at
    `host` (None: that in GRADIO_SERVER_NAME, or else 127.0.0.1) and `port` (None: the first free one from 7860 on);
    with `block` this waits until the server is stopped. Of the page that it returns, `local_url` says where it is and
    `close()` ends it. Without gradio, or if the port is taken, a `ConfigurationError`.
    """
    app = build_app(segmenter, limits, concurrency)
    from .page import serve

    return serve(app, limits or Limits(), host, port, block)


def check_gradio() -> None:
    """Refuses to go on without gradio, before a model is loaded, and turns gradio's usage reports off."""
    if find_spec("gradio") is None:
        raise ConfigurationError('The web page needs gradio 6, which is not installed: pip install "ovparts_hf[demo]".')
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
