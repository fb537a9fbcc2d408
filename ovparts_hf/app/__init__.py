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

    Args:
        segmenter: The model of the page.
        limits: What visitors may ask for.
        concurrency: Number of requests that are served at the same time; others wait in a queue of bounded length.
        host: Address to listen at; None for that in the environment variable GRADIO_SERVER_NAME, or else 127.0.0.1.
        port: Port to listen at; None for the first free one from 7860 on.
        block: Whether to wait until the server is stopped.

    Returns:
        The running page; its `local_url` says where it is, `close()` ends it.

    Raises:
        ConfigurationError: gradio is not installed, or the port is taken.
    """
    app = build_app(segmenter, limits, concurrency)
    from .page import serve

    return serve(app, limits or Limits(), host, port, block)


def check_gradio() -> None:
    """Refuses to go on without gradio, before a model is loaded, and turns gradio's usage reports off."""
    if find_spec("gradio") is None:
        raise ConfigurationError('The web page needs gradio 6, which is not installed: pip install "ovparts_hf[demo]".')
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
