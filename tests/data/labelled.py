"""Small labelled images, and writers of them as COCO JSON and as masks that share no code with the readers."""

import json

import numpy as np
from PIL import Image

SIZE = (48, 64)  # height, width
PARTS = ("dog's head", "dog's tail", "bus's wheel", "bus's door")
BOXES = {
    "dog's head": (4, 6, 14, 16),
    "dog's tail": (20, 10, 28, 14),
    "bus's wheel": (34, 30, 44, 40),
    "bus's door": (46, 20, 56, 44),
}
"""Left, top, right and bottom of each part, without the last pixel."""


def boxes_of(number):
    """The boxes of an image: each has the dog, every other one the bus too, all moved a little."""
    shift = number % 4
    names = PARTS if number % 2 else PARTS[:2]
    return {
        name: (left + shift, top + shift, right + shift, bottom + shift)
        for name, (left, top, right, bottom) in BOXES.items()
        if name in names
    }


def part_map(number, ids=None, none=255):
    """(H, W) the expected labels; `ids` says the value of each part, by default its position."""
    ids = ids or {name: i for i, name in enumerate(PARTS)}
    values = np.full(SIZE, none, np.uint8)
    for name, (left, top, right, bottom) in boxes_of(number).items():
        values[top:bottom, left:right] = ids[name]
    return values


def picture(number):
    """Noise that differs for each number."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8))


def write_images(folder, count, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(number).save(folder / f"photo{number:02d}{suffix}")


def polygon(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def coco(count, spell=lambda name: name.replace("'s ", ":"), suffix=".png", names=PARTS):
    """The content of a COCO file."""
    data = {
        "images": [
            {"id": n + 1, "file_name": f"photo{n:02d}{suffix}", "height": SIZE[0], "width": SIZE[1]}
            for n in range(count)
        ],
        "annotations": [],
        "categories": [{"id": 10 * i + 3, "name": spell(name)} for i, name in enumerate(names)],
    }
    for number in range(count):
        for name, box in boxes_of(number).items():
            add(data, number + 1, 10 * names.index(name) + 3, polygon(*box))
    return data


def add(data, image_id, category_id, segmentation, **more):
    entry = {
        "id": len(data["annotations"]) + 1,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        "iscrowd": 0,
    }
    data["annotations"].append(entry | more)
    return entry["id"]


def write_coco(folder, count=10, **options):
    """A folder with "labels.json" and "images/"; returns what is in the file."""
    write_images(folder / "images", count, options.get("suffix", ".png"))
    data = coco(count, **options)
    save(folder, data)
    return data


def save(folder, data, name="labels.json"):
    (folder / name).write_text(json.dumps(data), encoding="utf-8")


def write_masks(folder, count=10, palette=False):
    """A folder with "images/", "masks/" of indices, the background 0, and "names.txt"."""
    write_images(folder / "images", count)
    (folder / "masks").mkdir()
    for number in range(count):
        ids = {name: i + 1 for i, name in enumerate(PARTS)}
        mask = Image.fromarray(part_map(number, ids, none=0))
        if palette:
            mask = mask.convert("P")
            mask.putpalette([200, 10, 10] * 256)
        mask.save(folder / "masks" / f"photo{number:02d}.png")
    (folder / "names.txt").write_text("background\n" + "\n".join(PARTS) + "\n", encoding="utf-8")
