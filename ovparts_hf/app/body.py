"""Requests whose body is too large are refused before it is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class BodyLimit:
    """Middleware that lets bodies of up to `size` bytes through, and none of unknown length."""

    def __init__(self, app: ASGIApp, size: int) -> None:
        self.app = app
        self.size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any ASGI application."""
        app = self.app
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = int(headers.get("content-length", 0))
            if "transfer-encoding" in headers:
                app = PlainTextResponse("Say how long the body is: send Content-Length.", 411)
            elif length > self.size:
                app = PlainTextResponse(f"The body has {length:,} bytes; at most {self.size:,} are allowed.", 413)
        await app(scope, receive, send)
