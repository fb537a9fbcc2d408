"""Tiny releases of PartImageNet and of PACO-LVIS: drawn images, and labels in the layout of the published files."""

import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (40, 60)  # height, width
KINDS = {
    "Quadruped": ("Head", "Body", "Foot", "Tail"),
    "Biped": ("Head", "Body", "Hand", "Foot", "Tail"),
    "Fish": ("Head", "Body", "Fin", "Tail"),
    "Bird": ("Head", "Body", "Wing", "Foot", "Tail"),
    "Snake": ("Head", "Body"),
    "Reptile": ("Head", "Body", "Foot", "Tail"),
    "Car": ("Body", "Tier", "Side Mirror"),
    "Bicycle": ("Body", "Head", "Seat", "Tier"),
    "Boat": ("Body", "Sail"),
    "Aeroplane": ("Head", "Body", "Engine", "Wing", "Tail"),
    "Bottle": ("Mouth", "Body"),
}
CATEGORIES = [f"{kind} {part}" for kind, parts in KINDS.items() for part in parts]
SEG = {  # file name -> kind of object
    "train": {
        "n02129604_1.JPEG": "Quadruped",  # tiger
        "n02129604_2.JPEG": "Quadruped",
        "n02701002_7.JPEG": "Car",  # ambulance
        "n02422699_3.JPEG": "Quadruped",  # impala: unseen, so no training image
        "n02085620_5.JPEG": "Quadruped",  # Chihuahua: not one of the 40 objects
    },
    "val": {"n02129604_9.JPEG": "Quadruped", "n02422699_4.JPEG": "Quadruped", "n03594945_6.JPEG": "Car"},
}
OOD = {
    "train": {"n02129604_1.JPEG": "Quadruped", "n02480855_2.JPEG": "Biped", "n03792782_3.JPEG": "Bicycle"},
    "val": {"n02134084_1.JPEG": "Quadruped", "n02134084_2.JPEG": "Quadruped"},  # ice bear
}


def box(position):
    """Left, top, right and bottom of a part; each overlaps the one before."""
    return 5 + 12 * position, 8, 21 + 12 * position, 30


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), np.uint8)).save(path, "JPEG")


def rectangle(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def run_lengths(left, top, right, bottom):
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    encoded = coco_mask.encode(mask)
    return {"size": list(SIZE), "counts": encoded["counts"].decode()}


def write_partimagenet(folder, files=SEG, nested=False, at="annotations/{split}/{split}.json"):
    """`nested`: a folder for each synset, which `file_name` does not name."""
    for split, images in files.items():
        data = {"images": [], "annotations": [], "categories": []}
        data["categories"] = [
            {"id": i, "name": name, "supercategory": name.split()[0]} for i, name in enumerate(CATEGORIES)
        ]
        for number, (name, kind) in enumerate(images.items()):
            between = [name.split("_")[0]] if nested else []
            draw(folder.joinpath("images", split, *between, name), number)
            data["images"].append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
            first = CATEGORIES.index(f"{kind} {KINDS[kind][0]}")
            for position in range(min(len(KINDS[kind]), 3)):
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]),
                        "image_id": number,
                        "category_id": first + position,
                        "segmentation": rectangle(*box(position)),
                        "bbox": [0, 0, 1, 1],
                        "iscrowd": 0,
                        "area": 352,
                    }
                )
            mask = np.full(SIZE, 40, np.uint8)
            png = folder.joinpath("annotations", split, *between, name.replace(".JPEG", ".png"))
            png.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(png)
        path = folder / at.format(split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))


PACO_CATEGORIES = {  # with the gaps of the published ids
    35: "handbag",
    207: "car_(automobile)",
    378: "dog",
    41: "ball",
    2000: "car_(automobile):antenna",
    2454: "dog:colied_tube",
    2138: "handbag:inner_body",
}


def write_paco(folder, splits=("train", "val", "test"), categories=None):
    """Two cars with an antenna each, one of them on the other; a handbag; a ball, which has no parts."""
    categories = categories or {k: v for k, v in PACO_CATEGORIES.items() if v != "dog:colied_tube"}
    for number, split in enumerate(splits):
        data = {"images": [], "annotations": [], "categories": []}
        data["categories"] = [
            {"id": i, "name": name, "supercategory": "PART" if ":" in name else "OBJECT", "synset": "x.n.01"}
            for i, name in categories.items()
        ]
        for image in range(2):
            file_name = f"{'val2017' if split == 'val' else 'train2017'}/{1000 * number + image:012d}.jpg"
            draw(folder / file_name, 10 * number + image)
            image_id = 1000 * number + image
            data["images"].append({"id": image_id, "file_name": file_name, "height": SIZE[0], "width": SIZE[1]})
            for category, place, owner in (
                (207, (2, 2, 22, 22), 1),
                (2000, (4, 4, 8, 12), 1),
                (207, (30, 4, 56, 30), 3),
                (2000, (32, 6, 36, 14), 3),
                (35, (4, 26, 20, 38), 5),
                (2138, (6, 28, 12, 36), 5),
                (41, (40, 32, 46, 38), 7),
            ):
                number_in_file = len(data["annotations"]) + 1
                data["annotations"].append(
                    {
                        "id": number_in_file,
                        "image_id": image_id,
                        "category_id": category,
                        "segmentation": run_lengths(*place),
                        "bbox": [place[0], place[1], place[2] - place[0], place[3] - place[1]],
                        "obj_ann_id": owner + 7 * image,
                        "attribute_ids": [],
                    }
                )
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"paco_lvis_v1_{split}.json").write_text(json.dumps(data))
