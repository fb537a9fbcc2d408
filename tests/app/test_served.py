"""The page as it is served, asked over HTTP as a browser does."""

import json
import time
from itertools import takewhile
from threading import Event

import httpx
import numpy as np
import pytest
from PIL import Image

from ovparts_hf import PartSegmentation, PartSegmenter
from ovparts_hf.app import Limits, launch_app
from ovparts_hf.inference.advice import PHOTOGRAPH_ADVICE
from ovparts_hf.inference.ranking import Ranking
from ovparts_hf.utils.deadline import check_deadline

from .conftest import needs_gradio

pytestmark = needs_gradio
FOUND = "dog&#39;s head"


class Visitor:
    """Somebody at an address of their own, with a page open."""

    def __init__(self, page, address, tab="tab"):
        self.page, self.session = page, f"{address} {tab}"
        self.http = httpx.Client(
            base_url=f"{page.local_url}gradio_api/", headers={"X-Forwarded-For": address}, timeout=60, trust_env=False
        )

    def join(self, text):
        [number] = [i for i, event in self.page.fns.items() if event.name == "find"]
        body = {
            "data": [None, text, True, 0, 0, "", None, None, None],
            "fn_index": number,
            "session_hash": self.session,
        }
        self.http.post("queue/join", json=body).raise_for_status()
        return self

    def answer(self):
        """The outputs of the request that has joined, or the message of its error, as text."""
        with self.http.stream("GET", "queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {}
                if message.get("msg") == "process_completed":
                    return str(message["output"].get("error") or message["output"]["data"])
        raise AssertionError("no answer")


@pytest.fixture
def started():
    return Event()


@pytest.fixture
def release():
    event = Event()
    yield event
    event.set()


@pytest.fixture
def serve(started, release, monkeypatch, tmp_path):
    def find_parts(segmenter, path, text, *settings):
        started.set()
        if text == "wait":
            release.wait(30)
        while text == "work for ever":
            time.sleep(0.01)
            check_deadline()
        image = Image.new("RGB", (8, 6))
        ranking = Ranking(np.zeros((4, 6, 8), np.int16), np.ones((4, 6, 8), np.float32))
        return PartSegmentation(image, np.zeros((6, 8), np.int16), ("dog's head",), np.ones(1), ranking=ranking)

    monkeypatch.setattr("ovparts_hf.app.work.find_parts", find_parts)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    segmenter = PartSegmenter.from_pretrained("toy-trained", device="cpu")
    pages = []

    def launch(**limits):
        pages.append(launch_app(segmenter, Limits(**limits), block=False, host="127.0.0.1"))
        return pages[-1]

    yield launch
    for page in pages:
        page.close()


def test_an_answer_is_given(serve):
    assert FOUND in Visitor(serve(), "10.0.0.1").join("dog: head").answer()


def test_a_request_is_stopped_and_its_files_go(serve, tmp_path):
    visitor = Visitor(serve(time_limit=0.5), "10.0.0.1")
    message = visitor.join("work for ever").answer()
    assert "longer than the 0.5 seconds that are allowed. Name fewer parts, or give a smaller image." in message
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("tmp")]


def test_after_a_stopped_request_the_next_one_is_served(serve):
    page = serve(time_limit=2)
    stopped = Visitor(page, "10.0.0.1").join("work for ever")
    assert FOUND in Visitor(page, "10.0.0.2").join("dog: head").answer()
    assert "was stopped" in stopped.answer()
    assert FOUND in Visitor(page, "10.0.0.1").join("dog: head").answer()


def test_tabs_of_one_visitor_do_not_keep_others_out(serve, started, release):
    page = serve(waiting=1)
    first = Visitor(page, "10.0.0.1").join("wait")
    assert started.wait(30)
    for number in range(20):
        message = Visitor(page, "10.0.0.1", f"tab {number}").join("dog: head").answer()
        assert "allowed at a time: 1. Wait for the answer, perhaps in another tab" in message
    second = Visitor(page, "10.0.0.2").join("dog: head")
    time.sleep(0.5)
    assert "2 requests are running or waiting" in Visitor(page, "10.0.0.3").join("dog: head").answer()
    release.set()
    assert FOUND in first.answer()
    assert FOUND in second.answer()


def test_closing_the_page_drops_those_who_wait(serve, started, release):
    page = serve()
    Visitor(page, "10.0.0.1").join("wait")
    assert started.wait(30)
    started.clear()
    for number in range(2, 6):
        Visitor(page, f"10.0.0.{number}").join("dog: head")
    time.sleep(0.5)
    page.close()
    release.set()
    assert not started.wait(1)


def test_a_large_body_is_not_read(serve):
    http = Visitor(serve(file_size=2**20), "10.0.0.1").http
    large = http.post("queue/join", content=b"x" * (2**21 + 1))
    assert (large.status_code, large.text) == (413, "The body has 2,097,153 bytes; at most 2,097,152 are allowed.")
    files = [("files", (f"{number}.png", b"x" * 2**20)) for number in range(3)]
    assert http.post("upload", files=files).status_code == 413
    assert http.post("upload", files=files[:1]).status_code == 200
    assert http.post("queue/join", content=iter([b"x"])).status_code == 411


def test_a_photograph_shown_to_the_toy_gets_a_warning(serve, monkeypatch):
    page = serve()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    ranking = Ranking(np.zeros((4, 60, 90), np.int16), np.ones((4, 60, 90), np.float32))
    result = PartSegmentation(noise, np.zeros((60, 90), np.int16), ("dog's head",), np.ones(1), ranking=ranking)
    monkeypatch.setattr("ovparts_hf.app.work.find_parts", lambda *arguments: result)
    visitor = Visitor(page, "10.0.0.1").join("dog: head")
    with visitor.http.stream("GET", "queue/data", params={"session_hash": visitor.session}) as lines:
        text = "".join(takewhile(lambda line: "process_completed" not in line, lines.iter_lines()))
    assert text.count(PHOTOGRAPH_ADVICE) == 1
