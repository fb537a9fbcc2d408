"""The images of `labelled.py` with labels as each tool writes them, by code that shares nothing with the readers."""

import base64
import io
import json
import random
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import datasets
import numpy as np
import yaml
from PIL import Image

from ..labelled import PARTS, SIZE, boxes_of, part_map, picture, write_images

HEIGHT, WIDTH = SIZE


def colon(name):
    return name.replace("'s ", ":")


def corners(box):
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def filled(box):
    left, top, right, bottom = box
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def base64_png(values):
    return base64.b64encode(png(values)).decode()


def write_labelme(folder, count=10):
    """Polygons, rectangles and masks by turns, each JSON file beside its image; the corners of a mask are included."""
    write_images(folder, count)
    for number in range(count):
        shapes = []
        for turn, (name, box) in enumerate(boxes_of(number).items()):
            left, top, right, bottom = box
            shape = {"label": colon(name), "group_id": turn // 2 + 1, "flags": {}, "mask": None, "description": ""}
            if turn % 3 == 0:
                shape |= {"shape_type": "polygon", "points": corners(box)}
            elif turn % 3 == 1:
                shape |= {"shape_type": "rectangle", "points": [[right, bottom], [left, top]]}
            else:
                shape |= {"shape_type": "mask", "points": [[left, top], [right - 1.0, bottom - 1.0]]}
                shape["mask"] = base64_png(np.ones((bottom - top, right - left), bool))
            shapes.append(shape)
        save_labelme(folder / f"photo{number:02d}.json", shapes, f"photo{number:02d}.png")


def save_labelme(path, shapes, image_path, size=SIZE, image_data=None):
    data = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image_path, "imageData": image_data}
    path.write_text(json.dumps(data | {"imageHeight": size[0], "imageWidth": size[1]}), encoding="utf-8")


def brush(mask, seed=0, sizes=(2, 4, 9, 13), value=255):
    """Label Studio's bits: blocks of one value or of single ones, of any length, by turns and at random."""
    chance = random.Random(seed)
    values = np.repeat(mask.reshape(-1).astype(np.uint8) * value, 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    start = 0
    while start < len(values):
        end = start + 1
        while end < len(values) and values[end] == values[start]:
            end += 1
        kind = chance.randrange(4)
        length = min(2 ** sizes[kind], end - start)
        if chance.random() < 0.3 and length > 1:
            length = chance.randint(1, min(length, 12))
            bits += f"0{kind:02b}{length - 1:0{sizes[kind]}b}" + f"{values[start]:08b}" * length
        else:
            bits += f"1{kind:02b}{length - 1:0{sizes[kind]}b}{values[start]:08b}"
        start += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def percent(box):
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in corners(box)]


def result(key, kind, value, label, **more):
    return {
        "id": key,
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value | {kind: [label]},
        "origin": "manual",
    } | more


def label_studio_results(number):
    """Polygons, brushes and rectangles by turns."""
    results = []
    for turn, (name, box) in enumerate(boxes_of(number).items()):
        left, top, right, bottom = box
        if turn % 3 == 0:
            found = result(f"r{turn}", "polygonlabels", {"points": percent(box), "closed": True}, colon(name))
        elif turn % 3 == 1:
            value = {"format": "rle", "rle": brush(filled(box), number)}
            found = result(f"r{turn}", "brushlabels", value, colon(name))
        else:
            value = {"x": 100 * left / WIDTH, "y": 100 * top / HEIGHT, "rotation": 0}
            value |= {"width": 100 * (right - left) / WIDTH, "height": 100 * (bottom - top) / HEIGHT}
            found = result(f"r{turn}", "rectanglelabels", value, colon(name))
        results.append(found)
    return results


def label_studio_task(number, results, image=None, **annotation):
    image = image or f"/data/local-files/?d={quote(f'my photos/photo{number:02d}.png')}"
    annotations = [{"id": 100 + number, "was_cancelled": False, "ground_truth": False, "result": results} | annotation]
    return {"id": number + 1, "data": {"image": image}, "annotations": annotations, "predictions": []}


def write_label_studio(folder, count=10):
    write_images(folder / "my photos", count)
    tasks = [label_studio_task(number, label_studio_results(number)) for number in range(count)]
    (folder / "project-1-at-2024-01-01.json").write_text(json.dumps(tasks), encoding="utf-8")


def cvat_runs(box):
    """Runs row by row inside a box that is larger by a pixel on each side, of pixels outside first."""
    left, top, right, bottom = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    flat = filled(box)[top:bottom, left:right].reshape(-1).tolist()
    runs, inside = [0], False
    for value in flat:
        if value != inside:
            runs.append(0)
            inside = value
        runs[-1] += 1
    attributes = {"rle": ", ".join(map(str, runs)), "left": left, "top": top}
    return attributes | {"width": right - left, "height": bottom - top}


def cvat_shape(turn, name, box):
    left, top, right, bottom = box
    common = {"label": colon(name), "source": "manual", "occluded": 0, "z_order": 0, "group_id": turn // 2 + 1}
    if turn % 3 == 0:
        return "polygon", common | {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(box))}
    if turn % 3 == 1:
        return "mask", common | cvat_runs(box)
    return "box", common | {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}


def element(tag, attributes, inside=""):
    return (
        f"<{tag} {' '.join(f'{key}={quoteattr(str(value))}' for key, value in attributes.items())}>{inside}</{tag}>\n"
    )


def cvat_file(images, labels=PARTS):
    """`images` are (attributes, shapes)."""
    names = "".join(f"<label><name>{colon(name)}</name><type>any</type></label>" for name in labels)
    meta = f"<version>1.1</version>\n<meta><task><name>t</name><labels>{names}</labels></task></meta>\n"
    inside = "".join(element("image", about, "".join(element(*shape) for shape in shapes)) for about, shapes in images)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{meta}{inside}</annotations>\n'


def cvat_image(number, shapes=None):
    name = f"photo{number:02d}.png"
    about = {"id": number, "name": name, "width": WIDTH, "height": HEIGHT}
    if shapes is None:
        shapes = [cvat_shape(turn, part, box) for turn, (part, box) in enumerate(boxes_of(number).items())]
    return about, shapes


def write_cvat(folder, count=10):
    write_images(folder / "images", count)
    text = cvat_file([cvat_image(number) for number in range(count)])
    (folder / "annotations.xml").write_text(text, encoding="utf-8")


def yolo_line(number, box):
    return f"{number} " + " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in corners(box))


def write_yolo(folder, count=10):
    """Images and labels of a single folder each, and "data.yaml"."""
    write_images(folder / "images", count)
    (folder / "labels").mkdir()
    for number in range(count):
        lines = [yolo_line(PARTS.index(name), box) for name, box in boxes_of(number).items()]
        (folder / "labels" / f"photo{number:02d}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = {i: colon(name) for i, name in enumerate(PARTS)}
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": "/elsewhere", "train": "images", "names": names}))


def table(count=10, names=PARTS, numbers=None):
    """A `datasets.Dataset` with the images, masks of indices and a list of class labels."""
    maps = [part_map(number) for number in (numbers or range(count))]
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "mask": datasets.Image(),
            "classes": datasets.List(datasets.ClassLabel(names=list(names))),
        }
    )
    rows = {
        "image": [{"bytes": png(np.asarray(picture(n))), "path": f"photo{n:02d}.png"} for n in numbers or range(count)],
        "mask": [{"bytes": png(values), "path": None} for values in maps],
        "classes": [sorted(set(values.ravel().tolist()) - {255}) for values in maps],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def write_table(folder, count=10):
    table(count).save_to_disk(folder)


WRITERS = {
    "labelme": write_labelme,
    "labelstudio": write_label_studio,
    "cvat": write_cvat,
    "yolo": write_yolo,
    "datasets": write_table,
}


def write_imagefolder(folder, mask_of="masks/{}.png"):
    """What `datasets` reads as "imagefolder": files, and the names of both in metadata.jsonl."""
    lines = []
    for number in range(3):
        for path, data in ((f"a/photo{number:02d}.png", np.asarray(picture(number))), (mask_of.format(number), None)):
            file = folder / "train" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            ids = {name: i + 1 for i, name in enumerate(PARTS)}
            file.write_bytes(png(part_map(number, ids, none=0) if data is None else data))
        lines.append(json.dumps({"file_name": f"a/photo{number:02d}.png", "mask_file_name": mask_of.format(number)}))
    (folder / "train" / "metadata.jsonl").write_text("\n".join(lines))
    (folder / "names.txt").write_text("\n".join(["background", *PARTS]))
