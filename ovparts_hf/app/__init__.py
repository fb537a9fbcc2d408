"""The web page: give an image, name objects and their parts, see and download the result. It needs gradio."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from packaging.version import Version

from ..errors import ConfigurationError
from ..utils.arguments import check_positive
from ..utils.files import public_name
from .limits import Limits

if TYPE_CHECKING:
    import gradio as gr

    from ..inference.segmenter import PartSegmenter

__all__ = ["Limits", "build_app", "check_gradio", "launch_app"]

_OLDEST_GRADIO = "6.29.1"  # the first that deletes uploaded files when the page is closed


def build_app(
    segmenter: PartSegmenter | Mapping[str, PartSegmenter], limits: Limits | None = None, concurrency: int = 1
) -> gr.Blocks:
    """Makes the page, as `launch_app` does; nothing is served yet."""
    check_gradio()
    check_positive(concurrency=concurrency)
    segmenters = (
        dict(segmenter)
        if isinstance(segmenter, Mapping)
        else {public_name(segmenter.model.name_or_path or "model"): segmenter}
    )
    if not segmenters or "" in segmenters:
        raise ConfigurationError("The page needs at least one model, and each a name.")
    from .page import build_page

    return build_page(segmenters, limits or Limits(), concurrency)


def launch_app(
    segmenter: PartSegmenter | Mapping[str, PartSegmenter],
    limits: Limits | None = None,
    concurrency: int = 1,
    host: str | None = None,
    port: int | None = None,
    block: bool = True,
    mcp_server: bool = False,
) -> gr.Blocks:
    """Makes the page and serves it. There is no tunnel to the outside, and nothing is sent anywhere.

    Args:
        segmenter: What answers; or several by name, among which visitors choose, or compare two.
        limits: What a visitor may do, and how much at a time; None for the defaults of `Limits`.
        concurrency: Requests that run at the same time; others wait in a queue of bounded length.
        host: Where the page listens; None: the address in GRADIO_SERVER_NAME, or else 127.0.0.1. Behind a proxy all
            visitors have its address, unless FORWARDED_ALLOW_IPS names the proxy and it sends X-Forwarded-For.
        port: None for the first free one from 7860 on.
        block: Whether to wait until the server is stopped.
        mcp_server: Whether language models may use the endpoints of the page, too, as tools at /gradio_api/mcp/. It
            needs the package mcp.

    Returns:
        The page: `local_url` says where it is, and `close()` ends it.

    Raises:
        ConfigurationError: gradio or mcp is missing, the port is taken, or `concurrency` is below 1.
    """
    check_gradio(mcp_server)
    app = build_app(segmenter, limits, concurrency)
    from .page import serve

    return serve(app, limits or Limits(), host, port, block, mcp_server)


def check_gradio(mcp_server: bool = False) -> None:
    """Refuses to go on without gradio (and mcp), before a model is loaded, and turns gradio's usage reports off."""
    installed = "none" if find_spec("gradio") is None else version("gradio")
    if installed == "none" or Version(installed) < Version(_OLDEST_GRADIO):
        raise ConfigurationError(
            f"The web page needs gradio {_OLDEST_GRADIO} or newer; installed is {installed}: "
            'pip install "ovparts_hf[demo]".'
        )
    if mcp_server and find_spec("mcp") is None:
        raise ConfigurationError(
            'An MCP server needs the package mcp, which is not installed: pip install "ovparts_hf[mcp]".'
        )
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
