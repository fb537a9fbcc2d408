"""Label Studio's exports, beyond what every format has in common."""

import base64
import json

import numpy as np
import pytest

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.registry import READERS, find_reader
from ovparts_hf.errors import DatasetError

from ..labelled import SIZE, boxes_of, picture, write_images
from .reading import boxes, masks, problems, read
from .writers import brush, filled, label_studio_results, label_studio_task, percent, png, result

HEIGHT, WIDTH = SIZE


def polygon(key, label, box, **more):
    return result(key, "polygonlabels", {"points": percent(box), "closed": True}, label, **more)


def save(folder, tasks, name="export.json"):
    (folder / name).write_text(json.dumps(tasks), encoding="utf-8")
    return folder


def one(tmp_path, *results, image="photo00.png", **annotation):
    write_images(tmp_path, 1)
    return save(tmp_path, [label_studio_task(0, list(results), image, **annotation)])


EAR = polygon("a", "dog:ear", (4, 6, 14, 16))


@pytest.mark.parametrize(
    ("stored", "address", "upload"),
    [
        ("my photo (1).png", "/data/upload/3/0a1b2c3d-my_photo_1.png", "0a1b2c3d-my_photo_1.png"),
        ("0a1b2c3d-my_photo_1.png", "/data/upload/3/0a1b2c3d-my_photo_1.png", None),
        ("photo.png", "0a1b2c3d-photo.png", None),
        ("images/photo.png", "/data/upload/3/0a1b2c3d-photo.png", None),
        ("media/0a1b2c3d-photo.png", "/data/upload/3/0a1b2c3d-photo.png", None),
        ("images/b.png", "https://host.org/some/folder/b.png", None),
        ("images/photo.png", "/data/local-files/?d=C%3A%5Cphotos%5Cphoto.png", None),
        ("images/a/photo.png", "/data/local-files/?d=/home/me/data/a/photo.png", None),
        ("sub folder/ä b.png", "/data/local-files/?d=some/sub%20folder/%C3%A4%20b.png", None),
        ("b.png", "s3://bucket/some/folder/b.png", None),
        ("b.png", "https://host.org/folder/b.png?X-Signature=abc/def.png", None),
        ("b%20c.png", "b%20c.png", None),
        ("b.png", "http://[broken/b.png", None),
    ],
)
def test_images_are_found_under_the_names_of_the_server(stored, address, upload, tmp_path):
    (tmp_path / stored).parent.mkdir(parents=True, exist_ok=True)
    picture(1).save(tmp_path / stored)
    task = label_studio_task(0, [EAR], address) | ({"file_upload": upload} if upload else {})
    assert read(save(tmp_path, [task])).images[0].image.name == stored


def test_the_image_may_have_any_key_or_be_in_the_task(tmp_path):
    write_images(tmp_path, 1)
    task = label_studio_task(0, [EAR])
    task["data"] = {"caption": "a dog", "photograph": "/data/upload/1/00000000-photo00.png"}
    embedded = label_studio_task(1, [EAR])
    embedded["data"] = {"img": "data:image/png;base64," + base64.b64encode(png(np.asarray(picture(5)))).decode()}
    first, second = read(save(tmp_path, [task, embedded])).images
    assert first.image.name == "photo00.png" and second.image.read() == png(np.asarray(picture(5)))


def test_relations_say_which_object_a_part_belongs_to(tmp_path):
    results = [
        polygon("d1", "dog", (0, 0, 20, 20)),
        polygon("e1", "ear", (2, 2, 6, 6)),
        polygon("d2", "dog", (30, 0, 50, 20)),
        polygon("e2", "dog:ear", (32, 2, 36, 6)),
        polygon("t2", "tail", (40, 2, 46, 6)),
        {"from_id": "e1", "to_id": "d1", "type": "relation", "direction": "right"},
        {"from_id": "d2", "to_id": "e2", "type": "relation", "direction": "right"},
        {"from_id": "d2", "to_id": "t2", "type": "relation", "direction": "left", "labels": ["has"]},
        {"from_id": "gone", "to_id": "d1", "type": "relation"},
    ]
    dog, ear, other_dog, other_ear, tail = read(one(tmp_path, *results)).images[0].annotations
    assert [a.class_name for a in (dog, ear, other_ear, tail)] == [
        ("dog", None),
        ("dog", "ear"),
        ("dog", "ear"),
        ("dog", "tail"),
    ]
    assert dog.instance == ear.instance != other_dog.instance == other_ear.instance == tail.instance is not None


def test_a_region_below_another_in_the_list_is_a_part_of_it(tmp_path):
    results = [polygon("d", "dog", (0, 0, 20, 20)), polygon("e", "ear", (2, 2, 6, 6), parentID="d")]
    dog, ear = read(one(tmp_path, *results)).images[0].annotations
    assert ear.class_name == ("dog", "ear") and dog.instance == ear.instance is not None


def test_tools_of_two_tags_give_shape_and_label_apart(tmp_path):
    box = {"points": percent((4, 6, 14, 16))}
    shape = result("a", "polygon", box, "unused") | {"value": box}
    label = result("a", "labels", box, "dog:ear")
    choice = result("a", "choices", box, "sharp")
    assert boxes(read(one(tmp_path, shape, label, choice)).images[0]) == {"dog's ear": (4, 6, 14, 16)}


def test_turned_rectangles_and_ellipses(tmp_path):
    value = {"x": 100 * 20 / WIDTH, "y": 100 * 10 / HEIGHT, "rotation": 90}
    value |= {"width": 100 * 8 / WIDTH, "height": 100 * 4 / HEIGHT}
    rectangle = result("a", "rectanglelabels", value, "dog:ear")
    value = {"x": 50, "y": 50, "radiusX": 100 * 20 / WIDTH, "radiusY": 100 * 10 / HEIGHT, "rotation": 90}
    ellipse = result("b", "ellipselabels", value, "dog:leg")
    found = masks(read(one(tmp_path, rectangle, ellipse)).images[0])
    rows, columns = np.nonzero(found["dog's ear"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 17, 16, 19)
    rows, columns = np.nonzero(found["dog's leg"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 43, 22, 41)


def test_the_ground_truth_counts_or_else_the_last_annotation(tmp_path):
    write_images(tmp_path, 3)
    tasks = []
    for number, chosen in enumerate((0, 1, 2)):
        task = label_studio_task(number, [], f"photo{number:02d}.png")
        task["annotations"] = [
            {"id": i, "result": [polygon("a", f"dog:{name}", (4, 6, 14, 16))], "was_cancelled": name == "tail"}
            for i, name in enumerate(("ear", "leg", "tail"))
        ]
        if chosen == 0:
            task["annotations"][0]["ground_truth"] = True
        tasks.append(task)
    found = read(save(tmp_path, tasks))
    assert [image.annotations[0].part_name for image in found.images] == ["ear", "leg", "leg"]
    assert "Left out: 3 cancelled annotations of a task." in found.notes
    assert "Left out: 3 annotations before the last one of a task, or beside its ground truth." in found.notes


def test_predictions_and_cancelled_annotations_are_no_labels(tmp_path):
    write_images(tmp_path, 3)
    tasks = [
        label_studio_task(0, [EAR], "photo00.png"),
        {"id": 8, "data": {"image": "photo01.png"}, "predictions": [{"result": [EAR]}]},
        label_studio_task(2, [EAR], "photo02.png", was_cancelled=True),
    ]
    found = read(save(tmp_path, tasks))
    assert [image.image_id for image in found.images] == ["photo00"]
    assert "Left out: 1 task with predictions only." in found.notes
    assert "Left out: 1 task without an annotation." in found.notes


def test_only_predictions_are_refused(tmp_path):
    save(tmp_path, [{"id": 1, "data": {"image": "photo01.png"}, "predictions": [{"result": [EAR]}]}])
    with pytest.raises(DatasetError, match="predictions are no labels: accept them in Label Studio first"):
        READERS["labelstudio"].read(Source(str(tmp_path)))
    save(tmp_path, [label_studio_task(0, [EAR], was_cancelled=True)])
    with pytest.raises(DatasetError, match="No task of .* has an annotation. Submit annotations"):
        READERS["labelstudio"].read(Source(str(tmp_path)))
    save(tmp_path, {"a": 1})
    with pytest.raises(DatasetError, match="holds no JSON of Label Studio"):
        READERS["labelstudio"].read(Source(str(tmp_path)))


def test_the_short_form(tmp_path):
    write_images(tmp_path, 2)
    tasks = []
    for number in range(2):
        parts = [
            r["value"] | {k: r[k] for k in ("original_width", "original_height")} for r in label_studio_results(number)
        ]
        image = f"/data/upload/1/0123abcd-photo{number:02d}.png"
        tasks.append(
            {"image": image, "id": number, "label": parts, "annotator": 1, "annotation_id": 7, "lead_time": 1.5}
        )
    found = read(save(tmp_path, tasks))
    assert {image.image_id: boxes(image) for image in found.images} == {f"photo{n:02d}": boxes_of(n) for n in range(2)}


def test_a_file_for_each_annotation(tmp_path):
    write_images(tmp_path, 2)
    for number in range(2):
        task = label_studio_task(number, label_studio_results(number), f"s3://b/photo{number:02d}.png")
        save(tmp_path, task["annotations"][0] | {"task": {"id": number, "data": task["data"]}}, f"{number}.json")
    assert find_reader(Source(str(tmp_path))).name == "labelstudio"
    found = read(tmp_path)
    assert {image.image_id: boxes(image) for image in found.images} == {f"photo{n:02d}": boxes_of(n) for n in range(2)}


def test_what_is_no_region_with_a_label_is_left_out(tmp_path):
    point = result("k", "keypointlabels", {"x": 1, "y": 1, "width": 0.5}, "dog:eye")
    whole = {"id": "c", "type": "choices", "value": {"choices": ["indoors"]}}
    bare = polygon("n", "dog:ear", (1, 1, 5, 5))
    bare["value"]["polygonlabels"] = []
    found = read(one(tmp_path, EAR, point, whole, bare))
    assert boxes(found.images[0]) == {"dog's ear": (4, 6, 14, 16)}
    assert "Left out: 1 region without a label." in found.notes and "Left out: 1 region without an area." in found.notes


def test_an_empty_annotation_keeps_its_image(tmp_path):
    write_images(tmp_path, 2)
    tasks = [label_studio_task(0, [EAR], "photo00.png"), label_studio_task(1, [], "photo01.png")]
    assert [len(image.annotations) for image in read(save(tmp_path, tasks)).images] == [1, 0]


STROKES = result("a", "brushlabels", {"format": "rle", "rle": brush(filled((4, 6, 14, 16)))}, "dog:ear")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            EAR | {"image_rotation": 90},
            "The image of region 0 of task 1 of export.json ('a') was turned in Label Studio",
        ),
        (EAR | {"value": {"points": [[1, 2], [3]], "polygonlabels": ["dog:ear"]}}, "must be a list of [x, y]"),
        (EAR | {"value": {"points": [[1, 2], [3, None]], "polygonlabels": ["dog:ear"]}}, "must be a finite number"),
        (STROKES | {"value": {"rle": [1, 999], "brushlabels": ["dog:ear"]}}, "must be a list of numbers from 0 to 255"),
        (
            {k: v for k, v in STROKES.items() if k != "original_width"},
            "'original_width' and 'original_height', is missing",
        ),
        (result("a", "rectanglelabels", {"width": 4, "x": 1}, "dog:ear"), "The shape of region 0"),
        ("text", "Label Studio's region 0 of task 1 of export.json is 'text'; it must be a JSON object."),
        (polygon("a", ":ear", (1, 1, 5, 5)), "has the label ':ear'"),
        (STROKES | {"original_width": 7}, "The image of region 1 of task 1 of export.json ('b') is 64 x 48, in other"),
    ],
)
def test_what_is_wrong_is_named(entry, message, tmp_path):
    assert message in problems(one(tmp_path, entry, polygon("b", "dog:leg", (1, 1, 9, 9))), "labelstudio")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (3, "Label Studio's task 0 of export.json is 3; it must be a JSON object"),
        ({"id": 4, "data": [], "annotations": []}, "'data' of task 4 of export.json must be a JSON object"),
        ({"id": 4, "data": {"image": "photo00.png"}, "annotations": {}}, None),
        (
            {"id": 4, "data": {"image": "photo00.png"}, "annotations": [3]},
            "'annotations' of task 4 of export.json must be",
        ),
        (
            {"id": 4, "data": {"image": "a.png"}, "annotations": [{"result": 3}]},
            "'result' of task 4 of export.json must be",
        ),
        (
            {"id": 4, "data": {"image": "no.png"}, "annotations": [{"result": []}]},
            "task 4 of export.json names the image",
        ),
        ({"id": 4, "data": {"image": "../p.png"}, "annotations": [{"result": []}]}, "leads out of"),
        (
            {"id": 4, "data": {"a": "x", "b": "y"}, "annotations": [{"result": []}]},
            "exactly one of its values must name",
        ),
        ({"id": 4, "data": {"pages": ["a.png"]}, "annotations": [{"result": []}]}, "tasks of several are not read"),
        ({"id": 4, "data": {"image": "data:image/png;base64,%"}, "annotations": [{"result": []}]}, "is not base64"),
    ],
)
def test_a_task_with_a_fault_is_named(task, message, tmp_path):
    write_images(tmp_path, 1)
    save(tmp_path, [task, label_studio_task(0, [EAR], "photo00.png")])
    found = problems(tmp_path, "labelstudio")
    assert (message in found) if message else not found


def test_broken_json_is_named(tmp_path):
    one(tmp_path, EAR)
    (tmp_path / "broken.json").write_text('[{"id": 1,')
    assert "broken.json is not valid JSON" in problems(tmp_path, "labelstudio")
