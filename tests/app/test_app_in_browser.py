"""The web page in headless Chromium, served by `ovparts demo --app`."""

import base64
import io
import json
import signal
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

pytest.importorskip("selenium", reason="selenium is not installed")

from ovparts_hf import PartSegmenter  # noqa: E402
from ovparts_hf.app import work  # noqa: E402
from ovparts_hf.app.examples import drawings  # noqa: E402

from .app_page import AppPage  # noqa: E402
from .conftest import ARTIFACTS  # noqa: E402

pytestmark = pytest.mark.slow
SCRIPT = "<img src=x onerror=window.hacked=1>"


@pytest.fixture
def page(server, browser):
    return AppPage(browser, server[0])


def screenshot(page, name):
    ARTIFACTS.mkdir(exist_ok=True)
    height = page.browser.execute_script("return document.documentElement.scrollHeight")
    size = {"width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.save_screenshot(str(ARTIFACTS / name))
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_example_from_image_to_files(page):
    assert not page.all("#found img.painted")
    page.pick(2)
    example = drawings()[2]
    assert page.text == example.text == "car: body, wheel, window, door"
    page.find_parts()
    assert page.found_size() == example.image.size
    expected = PartSegmenter.from_pretrained("toy-trained", device="cpu")(example.image, example.text)
    assert list(page.switches) == list(expected.found)
    assert list(page.table()) == list(expected.classes)
    screenshot(page, "app.png")

    label_map = np.asarray(Image.open(io.BytesIO(page.download("label_map.png")))).astype(int)
    assert (np.where(label_map == 255, -1, label_map) == expected.label_map).mean() > 0.999
    details = json.loads(page.download("parts.json"))
    assert [entry["name"] for entry in details["classes"]] == list(expected.classes)
    for annotation in details["annotations"]:
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        assert np.array_equal(mask, label_map == annotation["category_id"] - 1)
    with zipfile.ZipFile(io.BytesIO(page.download("masks.zip"))) as archive:
        mask = np.asarray(Image.open(io.BytesIO(archive.read("001_car_body.png"))))
    assert np.array_equal(mask, label_map == 0)
    overlay = Image.open(io.BytesIO(page.download("overlay.png")))
    assert overlay.width == example.image.width


def test_parts_are_switched_off_and_on(page):
    page.pick(0)
    page.find_parts()
    everything = pixels(page)
    page.switches["dog's head"].click()
    page.until(lambda: not np.array_equal(pixels(page), everything))
    without = pixels(page)
    changed = (without != everything).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert xs.min() > 0.5 * changed.shape[1] and ys.max() < 0.7 * changed.shape[0]  # where the head is
    page.one("#parts .select-all-checkbox").click()
    page.until(lambda: page.switches and all(switch.is_selected() for switch in page.switches.values()))
    page.until(lambda: np.array_equal(pixels(page), everything))
    page.one("#parts .select-all-checkbox").click()
    plain = drawings()[0].image
    page.until(lambda: np.array_equal(pixels(page), np.asarray(plain)))


def pixels(page):
    """The painted image as the browser has decoded it."""
    script = """const i = document.querySelector('#found img.painted'), c = document.createElement('canvas');
    if (!i.complete || !i.naturalWidth) return null;
    c.width = i.naturalWidth; c.height = i.naturalHeight; c.getContext('2d').drawImage(i, 0, 0);
    return c.toDataURL('image/png').split(',')[1]"""
    data = page.until(lambda: page.browser.execute_script(script))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_an_upload_is_turned_upright_and_the_typed_parts_are_found(page, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    path = tmp_path / "<img src=x onerror=window.hacked=1> photo.jpg"
    drawings()[2].image.save(path, exif=exif)
    width, height = drawings()[2].image.size
    page.upload_shown(path)
    page.type("car: body, wheel\ndog: head")
    page.find_parts()
    assert page.found_size() == (height, width)
    assert list(page.table()) == ["car's body", "car's wheel", "dog's head"]
    assert page.browser.execute_script("return window.hacked") is None


def test_photographs_go_through(page, tmp_path):
    data = pytest.importorskip("skimage").data
    for name, text in (
        ("chelsea", "cat: head, ear"),
        ("coffee", "cup: body, handle"),
        ("rocket", "rocket: body, tip"),
    ):
        photograph = Image.fromarray(getattr(data, name)())
        photograph.save(tmp_path / f"{name}.jpg")
        page.upload_shown(tmp_path / f"{name}.jpg")
        page.type(text)
        page.find_parts()
        assert page.found_size() == photograph.size
        assert len(page.table()) == 2


def test_errors_are_messages(page, tmp_path):
    page.type("dog: head")
    page.fail_to_find("There is no image yet")
    page.pick(0)
    page.type("dog:")
    page.fail_to_find('does not name an object and its parts; write "dog: head, ear, tail"')
    page.type(" ")
    page.fail_to_find("No parts are named")
    page.type("dog: " + "very " * 60 + "long tail")
    page.fail_to_find("Shorten it")
    page.type("dog: head")
    for name, write, message in (
        ("broken.png", broken, "The file is not a whole image"),
        ("animated.gif", animated, "The file has several frames"),
        ("bomb.png", bomb, "The file has 12000 x 12000 pixels; allowed are 1 to 67,108,864"),
        ("text.png", lambda path: path.write_text(SCRIPT), "read as an image"),
    ):
        write(tmp_path / name)
        page.upload(tmp_path / name)
        page.until(lambda: page.all("#image button[aria-label='Remove Image']"))
        text = page.fail_to_find(message)
        assert "Traceback" not in text and "/" not in text
    assert not page.all("#found img.painted")
    page.pick(0)
    page.find_parts()


def test_too_large_a_file_is_not_taken(page, tmp_path):
    path = tmp_path / f"{SCRIPT}.png"
    with path.open("wb") as file:
        file.truncate(work.Limits().file_size + 1)
    page.upload(path)
    page.wait_for_message("exceed the maximum allowed size of 32.0 Mb")
    assert page.browser.execute_script("return window.hacked") is None


def test_typed_scripts_are_text(page):
    typed = [
        "head",
        SCRIPT,
        "<script>window.hacked=2</script>",
        "{{hacked}} ${window.hacked=3}",
        "![x](//127.0.0.1:9/x)",
    ]
    page.pick(0)
    page.type("dog: " + ", ".join(typed))
    page.find_parts()
    assert list(page.table()) == [f"dog's {part}" for part in typed]
    assert set(page.switches) <= set(page.table())
    page.type(f"{SCRIPT}:")
    assert SCRIPT in page.fail_to_find("does not name an object")
    assert page.browser.execute_script("return window.hacked") is None
    assert not page.all("img[src='x'], #scores img, #parts img, #parts script, #scores script")


def test_the_page_fits_a_telephone(page):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.pick(3)
    page.find_parts()
    widths = page.browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths == [400, 400]


def test_nothing_leaves_the_machine_and_nothing_is_left_behind(page, server):
    address, folder, process = server
    page.pick(0)
    page.find_parts()
    events = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert urls
    assert [url for url in urls if not url.startswith((address, "data:", "blob:", "chrome:"))] == []
    assert list(folder.rglob("parts.json"))
    page.browser.get("about:blank")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left <= {"image.png"}  # the examples, of which there are always as many


def broken(path):
    drawings()[0].image.save(path)
    path.write_bytes(path.read_bytes()[:3000])


def animated(path):
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def bomb(path):
    """The beginning of an image of 144 megapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
