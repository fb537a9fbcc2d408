"""What programs may ask of the page."""

import base64
import io
from importlib.util import find_spec

import httpx
import numpy as np
import pytest
from PIL import Image

from ovparts_hf import PartSegmenter
from ovparts_hf.app import Limits, launch_app
from ovparts_hf.app.examples import drawings
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.inference.visualization import hex_colors

from .conftest import needs_gradio

pytest.importorskip("gradio_client", reason="comes with gradio")
from gradio_client import Client, handle_file  # noqa: E402
from gradio_client.exceptions import AppError  # noqa: E402

pytestmark = needs_gradio
WORDS = "dog: head, leg\na red door"


@pytest.fixture(scope="module")
def segmenter():
    return PartSegmenter.from_pretrained("toy-trained", device="cpu")


@pytest.fixture(scope="module")
def page(segmenter, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("served")))
        models = {"toy": segmenter, "again": segmenter}
        mcp_server = find_spec("mcp") is not None
        page = launch_app(models, Limits(parts=5), block=False, host="127.0.0.1", mcp_server=mcp_server)
        yield page
        page.close()


@pytest.fixture(scope="module")
def client(page, tmp_path_factory):
    client = Client(page.local_url, verbose=False, download_files=str(tmp_path_factory.mktemp("client")))
    yield client
    client.close()


@pytest.fixture
def path(tmp_path):
    drawings()[0].image.save(tmp_path / "dog.png")
    return tmp_path / "dog.png"


def test_endpoints_are_documented(page):
    info = httpx.get(f"{page.local_url}gradio_api/info", trust_env=False).json()["named_endpoints"]
    assert info.keys() == {"/find_parts", "/list_models"}
    find = info["/find_parts"]
    assert find["description"].startswith("Finds the pixels of parts of objects in an image, by their names")
    parameters = {each["parameter_name"]: each for each in find["parameters"]}
    assert list(parameters) == ["image", "parts", "model", "boxes", "background", "threshold", "top_k"]
    assert [name for name, each in parameters.items() if not each["parameter_has_default"]] == ["image", "parts"]
    types = {name: each["type"].get("type") for name, each in parameters.items()}
    assert types == {
        "image": "object",
        "parts": "string",
        "model": "string",
        "boxes": "string",
        "background": "boolean",
        "threshold": "number",
        "top_k": "integer",
    }
    assert find["returns"][0]["type"]["items"]["required"] == ["id", "name", "score", "area", "color"]
    assert info["/list_models"]["description"] == "Lists the models of this page."


def test_a_program_gets_what_python_gives(client, segmenter, path):
    assert client.predict(api_name="/list_models").keys() == {"toy", "again"}
    options = {"model": "again", "boxes": "dog: 100, 50, 500, 400", "threshold": 0.3, "top_k": 2}
    parts, overlay, labels = client.predict(handle_file(str(path)), WORDS, **options, api_name="/find_parts")
    boxes = {"dog": [(100, 50, 500, 400)]}
    result = segmenter(str(path), WORDS, boxes=boxes, threshold=0.3, top_k=2)
    assert [part["name"] for part in parts] == ["dog's head", "dog's leg", "a red door"]
    assert {part["name"]: part["area"] for part in parts} == result.areas()
    assert [part["score"] for part in parts] == pytest.approx(result.scores.tolist(), abs=1e-6)
    assert [part["color"] for part in parts] == hex_colors(result.classes)
    assert np.array_equal(np.asarray(Image.open(labels)), np.asarray(result.label_image()))
    assert np.array_equal(np.asarray(Image.open(overlay)), np.asarray(result.overlay()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": ""}, "No parts are named"),
        ({"parts": "dog: a, b, c, d, e, f"}, "6 parts are named; at most 5 are allowed"),
        ({"parts": 5}, "parts is 5, which is not of the type"),
        ({"model": "/etc"}, "&#x27;/etc&#x27; is no model of this page"),
        ({"boxes": "dog: 1, 2"}, "is no box"),
        ({"threshold": 2.0}, "threshold is 2.0; it must lie between 0 and 1"),
        ({"top_k": "many"}, "not of the type"),
        ({"top_k": -1}, "top_k is -1"),
    ],
)
def test_bad_questions_get_a_message(options, message, client, path):
    arguments = {"image": handle_file(str(path)), "parts": "dog: head", **options}
    with pytest.raises(AppError, match=message):
        client.predict(**arguments, api_name="/find_parts")


@pytest.mark.parametrize(
    "image",
    [
        {"path": __file__},
        {"path": "http://127.0.0.1:9/image.png", "meta": {"_type": "gradio.FileData"}},
        {"path": __file__, "meta": {"_type": "gradio.FileData"}},
        __file__,
        None,
    ],
)
def test_no_other_file_of_the_server_is_read_and_no_address_is_fetched(image, page):
    http = httpx.Client(base_url=f"{page.local_url}gradio_api/", trust_env=False, timeout=60)
    event = http.post("call/find_parts", json={"data": [image, "dog: head"]}).json()["event_id"]
    answer = http.get(f"call/find_parts/{event}").text
    assert "event: error" in answer and "event: complete" not in answer


def test_without_mcp_it_says_what_to_install(segmenter, monkeypatch):
    monkeypatch.setattr("ovparts_hf.app.find_spec", lambda name: None if name == "mcp" else True)
    with pytest.raises(ConfigurationError, match=r'pip install "ovparts_hf\[mcp\]"'):
        launch_app(segmenter, mcp_server=True)


def test_a_language_model_may_use_the_endpoints_as_tools(page):
    pytest.importorskip("mcp", reason="an MCP server needs mcp")
    import asyncio

    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    buffer = io.BytesIO()
    drawings()[0].image.save(buffer, format="PNG")
    image = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

    async def use():
        async with (
            streamable_http_client(f"{page.local_url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            found = [await session.call_tool(tools[0].name, {"image": image, "parts": words}) for words in (WORDS, "")]
            return tools, *found

    tools, answer, refused = asyncio.run(use())
    assert [tool.name.endswith(name) for tool, name in zip(tools, ("find_parts", "list_models"), strict=True)] == [
        True
    ] * 2
    properties = tools[0].inputSchema["properties"]
    assert all(each["description"] for each in properties.values()) and len(properties) == 7
    assert "dog's head" in answer.content[0].text and not answer.isError
    assert refused.isError and "No parts are named" in refused.content[0].text
