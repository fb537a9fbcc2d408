"""Files of names, in all of their forms."""

import pytest

from ovparts_hf.data.formats.name_files import find_name_file, meaning_of, numbers, read_name_file
from ovparts_hf.data.problems import Problems
from ovparts_hf.errors import DatasetError

EXPECTED = {1: ("dog", "ear"), 2: ("dog", "head")}


def read(folder, name, text, problems=None):
    (folder / name).write_text(text, encoding="utf-8")
    return read_name_file(folder / name, name, Problems() if problems is None else problems)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "background\ndog's ear\ndog's head\n"),
        ("names.txt", "\ufeff_background_\r\ndog:ear\r\n\r\ndog:head"),
        ("names.txt", "__ignore__\n_background_\ndog/ear\ndog/head\n"),
        ("names.txt", "1 dog's ear\n2: dog's head\n"),
        ("names.txt", "01,dog's ear\n02,dog's head\n"),
        ("names.json", '["background", "dog\'s ear", "dog\'s head"]'),
        ("names.json", '{"1": "dog:ear", "2": "dog:head", "0": "background"}'),
        ("id2label.json", '{"0": "background", "1": "dog/ear", "2": "dog/head"}'),
        ("names.json", '{"dog:ear": 1, "dog:head": 2}'),
        ("names.json", '[{"id": 1, "name": "dog:ear"}, {"id": 2, "object": "dog", "part": "head"}]'),
        ("names.json", '{"categories": [{"id": 1, "name": "dog:ear"}, {"id": 2, "name": "dog:head"}]}'),
        ("names.json", '{"dog": {"ear": 1, "head": 2}}'),
        ("names.json", '{"classes": ["background", "dog:ear", "dog:head"]}'),
        ("names.csv", "value,name\n1,dog's ear\n2,dog's head\n"),
        ("names.csv", "id;object;part\n1;dog;ear\n2;dog;head\n"),
        ("names.csv", "1,dog,ear\n2,dog,head\n"),
        ("names.tsv", "name\tvalue\ndog's ear\t1\ndog's head\t2\n"),
    ],
)
def test_forms(name, text, tmp_path):
    problems = Problems()
    found = numbers(read(tmp_path, name, text, problems))
    assert problems == []
    assert {value: named.class_name for value, named in found.items() if named.class_name} == EXPECTED


def test_a_taxonomy_numbers_its_parts_from_zero(tmp_path):
    found = read(tmp_path, "names.json", '{"dog": ["ear", "head"], "bus": ["wheel"]}')
    assert [(named.key, named.class_name) for named in found] == [
        ("0", ("dog", "ear")),
        ("1", ("dog", "head")),
        ("2", ("bus", "wheel")),
    ]


def test_names_of_files(tmp_path):
    found = read(tmp_path, "names.json", '{"ear_of_dog": "dog\'s ear", "whole": "dog"}')
    assert [(named.key, named.class_name) for named in found] == [
        ("ear_of_dog", ("dog", "ear")),
        ("whole", ("dog", None)),
    ]
    assert numbers(found) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", ""),
        ("names.json", "[]"),
        ("names.json", "7"),
        ("names.json", "{"),
        ("names.json", '[["dog"]]'),
        ("names.csv", "a,b,c,d\n1,2,3,4\n"),
    ],
)
def test_other_contents_are_refused_with_the_name_of_the_file(name, text, tmp_path):
    with pytest.raises(DatasetError, match=name):
        read(tmp_path, name, text)


def test_a_value_named_twice_is_a_problem(tmp_path):
    problems = Problems()
    read(tmp_path, "names.csv", "value,name\n1,dog's ear\n01,dog's head\n", problems)
    assert problems == ["names.csv names '1' more than once."]


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\x00d")
    with pytest.raises(DatasetError, match="names.txt"):
        read_name_file(tmp_path / "names.txt", "names.txt", Problems())


def test_where_the_file_is_looked_for(tmp_path):
    assert find_name_file(tmp_path / "nowhere") is None
    assert find_name_file(tmp_path) is None
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "names.txt").write_text("dog's ear", encoding="utf-8")
    assert find_name_file(tmp_path) == tmp_path / "masks" / "names.txt"
    for name in ("other.txt", "id2label.json", "labels.csv", "Names.TXT"):
        (tmp_path / name).write_text("dog's ear", encoding="utf-8")
    assert find_name_file(tmp_path).name == "Names.TXT"


VOC = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:ear:128,0,0::\ndog:head:0, 128, 255:nose,eye:bark\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelmap.txt", VOC),
        ("labelmap.txt", "\ufeff" + VOC.replace("\n", "\r\n")),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ndog:ear,128,0,0\ndog:head,0,128,255\n"),
        ("names.csv", "red;green;blue;object;part\n128;0;0;dog;ear\n0;128;255;dog;head\n"),
    ],
)
def test_colours(name, text, tmp_path):
    problems = Problems()
    meaning = meaning_of(read(tmp_path, name, text, problems), name)
    assert problems == [] and meaning.are_colours
    named = {value: class_name for value, class_name in meaning.classes.items() if class_name}
    assert named == {0x800000: ("dog", "ear"), 0x0080FF: ("dog", "head")}


def test_a_colour_out_of_range_names_no_value(tmp_path):
    found = read(tmp_path, "names.csv", "name,r,g,b\ndog:ear,256,0,0\n")
    assert meaning_of(found, "names.csv").classes == {}


def test_values_as_roboflow_calls_them(tmp_path):
    found = read(tmp_path, "_classes.csv", "Pixel Value, Class\n0, background\n1, dog:ear\n2, dog:head\n")
    assert meaning_of(found, "_classes.csv") == ({0: None} | EXPECTED, "_classes.csv", False)
    assert find_name_file(tmp_path) == tmp_path / "_classes.csv"
