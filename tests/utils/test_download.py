"""Downloading in bounded time, without being led astray, and without showing secrets."""

import base64
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ovparts_hf.errors import ImageError
from ovparts_hf.utils import download as module
from ovparts_hf.utils.download import download, without_secrets

LIMITS = {"max_bytes": 1000, "patience": 5, "max_seconds": 5}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(404 if "none" in self.path else 200)
        self.end_headers()
        for _ in range(40 if "slow" in self.path else 1):
            self.wfile.write(b"data")
            self.wfile.flush()
            time.sleep(0.1 if "slow" in self.path else 0)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.address = [], f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:9/a", "http://localhost/a", "http://10.1.2.3/", "http://169.254.169.254/", "http://[::1]/a"]
    + ["http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://user:secret@192.168.0.1/"],
)
def test_no_redirect_into_a_private_network(target, server):
    with pytest.raises(ImageError, match="redirects into a private network") as caught:
        download(f"http://{server.address}/to/{target}", **LIMITS)
    assert "secret" not in str(caught.value).partition("redirects")[2]


def test_a_name_that_leads_elsewhere_when_it_is_connected_to(server, monkeypatch):
    """As by a name server that gives an address of the internet first, and then one of the private network."""
    monkeypatch.setattr(module, "_is_private", lambda host, port: False)
    with pytest.raises(ImageError, match="redirects into a private network, to 127.0.0.1"):
        download(f"http://{server.address}/to/http://{server.address}/image", **LIMITS)
    assert [path for path, _ in server.seen] == [f"/to/http://{server.address}/image"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://ftp.example.org/a", "data:text/plain,a"])
def test_no_redirect_to_another_scheme(target, server):
    with pytest.raises(ImageError, match="cannot be downloaded .*redirect"):
        download(f"http://{server.address}/to/{target}", **LIMITS)


def test_redirects_on_the_open_internet_are_followed_without_the_password(server, monkeypatch):
    monkeypatch.setattr(module, "_is_global", lambda host: True)
    url = f"http://me:secret@{server.address}/to/http://you:other@{server.address}/image"
    assert download(url, **LIMITS) == b"data"
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    assert [header for _, header in server.seen] == [basic, None]


@pytest.mark.parametrize("path", ["slow", "header"])
def test_all_of_a_download_is_bounded(path, server):
    """Each byte comes in time."""
    address = server.address
    if path == "header":
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
    start = time.monotonic()
    with pytest.raises(ImageError, match="it takes more than 0.5 seconds"):
        download(f"http://{address}/{path}", max_bytes=1000, patience=5, max_seconds=0.5)
    assert time.monotonic() - start < 2


def drip(listener):
    connection, _ = listener.accept()
    with listener, connection:
        for _ in range(30):
            connection.send(b"H")
            time.sleep(0.1)


@pytest.mark.parametrize("path", ["/none", "/none?token=secret", "/to/ftp://a", "/none#secret"])
@pytest.mark.parametrize("user", ["me:secret@", "secret@", "me:secr%20et@", ""])
def test_credentials_are_never_shown(user, path, server):
    with pytest.raises(ImageError, match=f"http://{server.address}/.* cannot be downloaded") as caught:
        download(f"http://{user}{server.address}{path}", **LIMITS)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://me:sec/ret@host/a", "http://[secret/a", "http://me:secret@host:port/a"])
def test_addresses_that_are_none(url):
    with pytest.raises(ImageError, match="The address cannot be downloaded .it is not a valid address") as caught:
        download(url, **LIMITS)
    assert "sec" not in str(caught.value)


def test_what_is_shown():
    assert without_secrets("https://a:b@host:8/x/@y.png?key=c#d") == "https://host:8/x/@y.png?..."
    assert without_secrets("http://host/a b.png") == "http://host/a b.png"
