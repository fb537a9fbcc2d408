"""Which format a source is in."""

import subprocess
import sys

import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import ConfigurationError, DatasetError

from ..labelled import write_coco, write_masks


def test_readers_have_their_own_names():
    assert all(reader.name == name and reader.summary for name, reader in READERS.items())
    assert {"coco", "masks"} <= set(READERS)


@pytest.mark.parametrize(("write", "name"), [(write_coco, "coco"), (write_masks, "masks")])
def test_a_source_is_recognised(write, name, tmp_path):
    write(tmp_path, 2)
    assert find_reader(Source(str(tmp_path))).name == name


def test_a_source_in_two_formats_needs_a_word(tmp_path):
    write_coco(tmp_path, 2)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "photo00.png").write_bytes((tmp_path / "images" / "photo00.png").read_bytes())
    with pytest.raises(DatasetError, match="--format"):
        find_reader(Source(str(tmp_path)))
    assert find_reader(Source(str(tmp_path)), "coco").name == "coco"


def test_what_folders_are_called_does_not_make_it_yolo(tmp_path):
    write_masks(tmp_path / "labels", 2)
    assert find_reader(Source(str(tmp_path / "labels"))).name == "masks"
    (tmp_path / "labels" / "masks").rename(tmp_path / "labels" / "labels")
    (tmp_path / "labels" / "names.txt").rename(tmp_path / "labels" / "labels" / "names.txt")
    assert find_reader(Source(str(tmp_path / "labels"))).name == "masks"


def test_what_is_not_there_or_unknown(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        find_reader(Source(str(tmp_path / "nowhere")))
    with pytest.raises(DatasetError, match="in no format that is recognised"):
        find_reader(Source(str(tmp_path)))
    with pytest.raises(ConfigurationError, match="Unknown format 'pascal'"):
        find_reader(Source(str(tmp_path)), "pascal")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + b"0" * 100)
    with pytest.raises(DatasetError, match="unpack it"):
        find_reader(Source(str(tmp_path / "a.zip")))


def test_an_option_without_a_use_is_refused(tmp_path):
    write_coco(tmp_path / "coco", 2)
    names = tmp_path / "names.txt"
    names.write_text("dog's head")
    for format_name in (None, "coco"):
        with pytest.raises(
            ConfigurationError, match="--names is not used by the format 'coco'.*for masks, yolo, datasets"
        ):
            find_reader(Source(str(tmp_path / "coco"), names=names), format_name)
    with pytest.raises(ConfigurationError, match="--images is not used by the format 'datasets'"):
        find_reader(Source("me/parts", images=tmp_path))
    assert find_reader(Source(str(tmp_path / "coco"), images=tmp_path / "coco")).name == "coco"


def test_names_of_formats_need_no_reader():
    """Help lists them, and should not wait for NumPy."""
    code = "import sys; from ovparts_hf.data.formats.registry import READERS as r; assert len(r) > 7 and 'yolo' in r"
    code += "; print([name for name in ('numpy', 'PIL', 'yaml', 'huggingface_hub') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
