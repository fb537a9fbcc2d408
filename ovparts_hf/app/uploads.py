"""What visitors give is uploaded; nothing is fetched for them."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio_client.utils import is_file_obj, is_http_url_like, traverse


class UploadBlocks(gr.Blocks):
    """A page that fetches no address for a visitor, which gradio does wherever a file is given by one."""

    async def preprocess_data(self, block_fn: BlockFunction, inputs: list[Any], *arguments: Any) -> list[Any]:
        """As gradio's, for whatever is sent to any event or endpoint."""
        traverse(inputs, _refuse_address, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *arguments)


def _refuse_address(file: dict[str, Any]) -> dict[str, Any]:
    if is_http_url_like(file["path"]):
        raise gr.Error("Addresses are not fetched; upload the file.", print_exception=False)
    return file
