"""Downloads a file that a user names by its address: in bounded time and size, and never led into a private network."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import queue
import socket
import threading
import time
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from ..errors import ImageError
from .files import first_line

_BLOCK = 1 << 16
_URL = "!#$%&'()*+,/:;=?@[]~"  # what has a meaning in an address; spaces and letters beyond ASCII are escaped


def download(url: str, max_bytes: int, patience: float, max_seconds: float) -> bytes:
    """The bytes at an http(s) address, which may hold a user name and password; any failure is an `ImageError`.

    A server must respond within `patience` seconds, and send everything within `max_seconds`.
    """
    name = without_secrets(url)
    answer: queue.Queue[bytes | Exception] = queue.Queue()
    # a thread, because no timeout of a socket bounds looking up a name or a header that comes byte by byte
    arguments = (answer, url, max_bytes, min(patience, max_seconds), time.monotonic() + max_seconds)
    threading.Thread(target=_answer, args=arguments, daemon=True).start()
    try:
        data = answer.get(timeout=max_seconds)
    except queue.Empty:
        data = TimeoutError()
    if isinstance(data, Exception):
        reason = _reason(data) or f"it takes more than {max_seconds} seconds"
        raise ImageError(f"{name} cannot be downloaded ({reason}). Check the address, or give a file.") from None
    if len(data) > max_bytes:
        raise ImageError(f"{name} is larger than {max_bytes >> 20} MB. Download and shrink it first.")
    return data


def without_secrets(url: str) -> str:
    """An address as it may be shown: without user name, password and query, which may hold a key."""
    try:
        address = urlsplit(url)
        host = address.netloc.rpartition("@")[2]
        address.port  # noqa: B018  raises where a password with a slash was taken for a port
    except ValueError:
        return "The address"
    return urlunsplit((address.scheme, host, address.path, "..." if address.query else "", ""))


def _answer(answer: queue.Queue[bytes | Exception], *arguments: Any) -> None:
    try:
        answer.put(_fetch(*arguments))
    except Exception as error:
        answer.put(error)


def _fetch(url: str, max_bytes: int, patience: float, deadline: float) -> bytes:
    """Stops after `max_bytes` and a few more."""
    address = urlsplit(quote(url, safe=_URL))
    secret, _, host = address.netloc.rpartition("@")
    request = Request(urlunsplit(address._replace(netloc=host)), headers={"User-Agent": "ovparts_hf"})
    if secret:
        coded = base64.b64encode(unquote(secret).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {coded}")
    data = bytearray()
    with build_opener(_CarefulRedirects, _CarefulHTTP, _CarefulHTTPS).open(request, timeout=patience) as response:
        while len(data) <= max_bytes and time.monotonic() < deadline and (block := response.read1(_BLOCK)):
            data += block
    if time.monotonic() >= deadline:
        raise TimeoutError
    return bytes(data)


class _CarefulRedirects(HTTPRedirectHandler):
    """Follows a server to http(s) addresses of the open internet only; a user may name any other."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        address = urlsplit(newurl)
        if address.scheme not in ("http", "https"):
            raise URLError(f"it redirects to {address.scheme!r}, where http and https are allowed")
        if _is_private(address.hostname or "", address.port or 443):
            raise URLError(f"it redirects into a private network, to {address.hostname}")
        target = urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2]))
        return super().redirect_request(req, fp, code, msg, headers, target)


def _checked(kind: type[http.client.HTTPConnection], request: Request) -> type[http.client.HTTPConnection]:
    """The connection of a request; after a redirect, one that checks where it leads: a name may have moved since."""
    if not request.unverifiable or request.has_proxy() or request._tunnel_host:  # a proxy connects for itself
        return kind

    class Checked(kind):
        def connect(self) -> None:
            super().connect()
            if not _is_global(self.sock.getpeername()[0]):
                self.close()
                raise URLError(f"it redirects into a private network, to {self.host}")

    return Checked


class _CarefulHTTP(HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_checked(http.client.HTTPConnection, req), req)


class _CarefulHTTPS(HTTPSHandler):
    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_checked(http.client.HTTPSConnection, req), req, context=self._context)


def _is_private(host: str, port: int) -> bool:
    """Whether one of the addresses of a host is not on the open internet; a proxy may know hosts that are unknown."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return not all(_is_global(str(entry[4][0])) for entry in found)


def _is_global(host: str) -> bool:
    """Whether an IP address is on the open internet."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_global


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return ""
    if isinstance(error, HTTPError):
        return f"HTTP error {error.code}{', a redirect that is not followed' if error.code // 100 == 3 else ''}"
    if isinstance(error, ValueError | http.client.InvalidURL):
        return "it is not a valid address"
    if isinstance(error, URLError):
        return str(error.reason)
    return first_line(error)
