"""A real browser, and the page served by the command that users type."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="the web page needs gradio")
"""Of files whose tests import gradio when they run: it takes two seconds, in each of the processes of a run."""
ARTIFACTS = Path(__file__).parent / "artifacts"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1280,1000",
)


@pytest.fixture(scope="session")
def programs():
    """Paths of browser and driver; skips, and says why, where something is missing."""
    for package in ("gradio", "selenium"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found; on Debian: apt-get install chromium chromium-driver")
    return found


@pytest.fixture(scope="package")
def starting(programs, tmp_path_factory):
    """`ovparts demo --app` in a process of its own, not yet ready: (address, its temporary folder, the process)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    main = "import sys; from ovparts_hf.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder)}
    with (folder.parent / "server.log").open("w") as log:
        command = [
            sys.executable,
            "-c",
            main,
            "demo",
            "--app",
            "--app-model",
            "toy-trained",
            "toy",
            "--port",
            str(port),
        ]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}", folder, process
    process.send_signal(signal.SIGINT)
    process.wait(60)


@pytest.fixture(scope="package")
def server(starting, browser):
    """The same, ready; the browser has started meanwhile."""
    address, folder, process = starting
    log = folder.parent / "server.log"
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            urlopen(address).close()
        except URLError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        else:
            return starting
    raise AssertionError(log.read_text())


@pytest.fixture(scope="package")
def browser(programs, tmp_path_factory):
    """Chromium that reaches nothing but this machine; `browser.downloads` is where its files go."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs["chromedriver"]))
    driver.downloads = folder / "downloads"
    yield driver
    driver.quit()
