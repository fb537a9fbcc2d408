"""Files and addresses of images: what is refused, what is left open, what comes from the web."""

import contextlib
import gc
import io
import struct
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from ovparts_hf.errors import DatasetError, ImageError
from ovparts_hf.utils import images
from ovparts_hf.utils.images import image_dimensions, image_size, load_image

from .test_images import make_image


def test_folders_broken_and_cut_files_are_refused(tmp_path):
    with pytest.raises(ImageError, match="is a folder; name an image in it"):
        load_image(tmp_path)
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(ImageError, match="is in no format that can be read"):
        load_image(text)
    cut = tmp_path / "cut.jpg"
    make_image(size=(300, 200)).save(cut)
    cut.write_bytes(cut.read_bytes()[:-300])
    with pytest.raises(ImageError, match="is not a whole image"):
        load_image(str(cut))


PLUGIN_ERRORS = [IndexError("list index"), RuntimeError("codec"), TypeError("None"), MemoryError(), KeyError(3)]


@pytest.mark.parametrize("step", ["open", "load", "n_frames"])
@pytest.mark.parametrize("error", PLUGIN_ERRORS, ids=repr)
def test_whatever_a_plugin_raises_is_one_error(step, error, tmp_path, monkeypatch):
    def fail(*arguments):
        raise error

    path = tmp_path / "image.png"
    make_image().save(path)
    if step == "open":
        monkeypatch.setitem(Image.OPEN, "PNG", (fail, Image.OPEN["PNG"][1]))
    else:
        plugin, ignore = type(Image.open(path)), lambda image, value: None
        monkeypatch.setattr(plugin, step, fail if step == "load" else property(fail, ignore), raising=False)
    with pytest.raises(ImageError, match=rf"image.png (cannot be read: {type(error).__name__}|is in no format)"):
        load_image(path)
    if step != "n_frames":
        with pytest.raises(DatasetError, match=rf"a.png (cannot be read: {type(error).__name__}|is not a whole image)"):
            image_size(path.read_bytes(), "a.png")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_animations_and_pages_are_refused(suffix, tmp_path):
    path = tmp_path / f"several.{suffix}"
    make_image("L").save(path, save_all=True, append_images=[make_image("L").rotate(180)])
    with pytest.raises(ImageError, match="has several frames or pages. Save the one to be used"):
        load_image(path)


def test_frames_are_not_counted(tmp_path):
    """Pillow needs quadratic time to count the pages of a TIFF, 10 seconds for 40,000 of them in 4 MB."""
    tags = ((256, 4, 1), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, 1), (279, 4, 1))
    page = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    size, count = len(page) + 4, 50_000
    offsets = [*(8 + number * size for number in range(1, count)), 0]
    path = tmp_path / "pages.tiff"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(page + struct.pack("<I", next_) for next_ in offsets))
    start = time.process_time()
    with pytest.raises(ImageError, match="has several frames or pages"):
        load_image(path)
    assert time.process_time() - start < 2


def test_the_header_gives_the_size(tmp_path):
    path = tmp_path / "image.png"
    make_image(size=(30, 20)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    assert image_dimensions(path) == (30, 20)
    with pytest.raises(ImageError, match="does not exist"):
        image_dimensions(tmp_path / "gone.png")


def test_a_photograph_with_a_preview_is_one_image(tmp_path):
    path = tmp_path / "phone.jpg"
    make_image().save(path, format="MPO", save_all=True, append_images=[make_image(size=(6, 4))])
    assert load_image(path).size == (30, 20)


def test_large_images_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path, larger = tmp_path / "large.png", tmp_path / "larger.png"
    Image.new("1", (10_000, 10_000)).save(path)  # Pillow warns of it
    Image.new("1", (20_000, 10_000)).save(larger)  # Pillow refuses it
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="10000 x 10000 pixels; allowed are 1 to 67,108,864"):
        load_image(path)
    with pytest.raises(ImageError, match="far too many pixels"):
        load_image(larger)
    with pytest.raises(ImageError, match="allowed are 1 to 100"):
        load_image(Image.new("L", (11, 10)), max_pixels=100)


@pytest.mark.parametrize("name", ["several.gif", "phone.mpo", "cut.jpg", "one.gif"])
def test_files_are_closed_whatever_comes_of_them(name, tmp_path):
    path = tmp_path / name
    others = {} if name in ("cut.jpg", "one.gif") else {"save_all": True, "append_images": [make_image().rotate(180)]}
    make_image(size=(300, 200)).save(path, **others)
    if name == "cut.jpg":
        path.write_bytes(path.read_bytes()[:-300])
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(ImageError):
            load_image(path)
        gc.collect()
    assert not [warning for warning in caught if warning.category is ResourceWarning]


def test_an_image_that_is_given_stays_open(tmp_path):
    make_image().save(tmp_path / "one.gif")
    with Image.open(tmp_path / "one.gif") as image:
        first = load_image(image)
        image.seek(0)
        assert load_image(image).tobytes() == first.tobytes()


@pytest.mark.parametrize("way", ["with", "close"])
def test_an_image_that_was_closed_before_it_was_read(way, tmp_path):
    make_image().save(tmp_path / "image.png")
    image = Image.open(tmp_path / "image.png")
    image.__exit__() if way == "with" else image.close()
    # Pillow 10.3 itself says only that it has no file.
    with pytest.raises(ImageError, match="was closed before it was read|closed image|'NoneType' object has no"):
        load_image(image)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"),
        ("movie.mpg", b"\0\0\1\xb3" + b"1" * 100),
        ("data.h5", b"\x89HDF\r\n\x1a\n" + b"1" * 100),
    ],
)
def test_what_only_looks_like_an_image_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match="file, which is not an image. Save it as JPEG or PNG"):
        load_image(tmp_path / name)
    assert (tmp_path / name).suffix not in images.image_suffixes()


def test_suffixes_are_those_of_files_that_can_be_opened():
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".gif", ".bmp"} < images.image_suffixes()
    assert ".pdf" not in images.image_suffixes()  # Pillow only writes it


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = io.BytesIO()
        make_image().save(data, "PNG")
        found = self.path in ("/image.png", "/a%20b/%C3%A4.png?c=%20")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(data.getvalue() if found else b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_images_come_from_the_web(server, monkeypatch):
    assert load_image(f"{server}/image.png").size == (30, 20)
    assert load_image(f"{server}/a b/ä.png?c=%20").size == (30, 20)
    with pytest.raises(ImageError, match="cannot be downloaded .*404"):
        load_image(f"{server}/other.png")
    monkeypatch.setattr(images, "MAX_DOWNLOAD", 50)
    with pytest.raises(ImageError, match="is larger than"):
        load_image(f"{server}/image.png")


def test_servers_that_are_not_there():
    with pytest.raises(ImageError, match="cannot be downloaded"):
        load_image("http://127.0.0.1:9/image.png")
