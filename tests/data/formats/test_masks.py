"""Folders of images and masks."""

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.formats.base import Source
from ovparts_hf.data.formats.masks import MasksReader
from ovparts_hf.errors import DatasetError
from ovparts_hf.taxonomy import PartTaxonomy

from ..labelled import PARTS, SIZE, boxes_of, part_map, picture, write_images, write_masks


def read(folder, **options):
    return MasksReader().read(Source(str(folder), **options))


def painted(image):
    values = np.full(SIZE, 255)
    for annotation in image.annotations:
        if annotation.part_name is not None:
            mask = annotation.shape.mask(*SIZE, annotation.name)
            values[mask] = PARTS.index(f"{annotation.object_name}'s {annotation.part_name}")
    return values


def check_all(labels, count=3):
    assert labels.problems == []
    assert len(labels.images) == count
    for image in labels.images:
        np.testing.assert_array_equal(painted(image), part_map(int(image.image_id[-2:])))


def part_masks(number, mode="L"):
    """From the name of a file to a mask of one part."""
    for name, (left, top, right, bottom) in boxes_of(number).items():
        mask = np.zeros(SIZE, np.uint8)
        mask[top:bottom, left:right] = 255
        yield name.replace("'s ", "_"), Image.fromarray(mask).convert(mode)


@pytest.mark.parametrize("palette", [False, True])
def test_indices_and_palettes(palette, tmp_path):
    write_masks(tmp_path, 3, palette)
    assert MasksReader().recognises(Source(str(tmp_path)))
    labels = read(tmp_path)
    check_all(labels)
    assert labels.classes == [tuple(name.split("'s ")) for name in PARTS]
    assert labels.images[0].stated_size == SIZE


def test_grey_masks_may_be_stored_as_colours(tmp_path):
    write_masks(tmp_path, 3)
    (tmp_path / "masks").rename(tmp_path / "SegmentationClassRaw")
    for path in (tmp_path / "SegmentationClassRaw").iterdir():
        Image.open(path).convert("RGB").save(path)
    check_all(read(tmp_path))


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA"])
@pytest.mark.parametrize(
    "path",
    [
        "masks/{image}/{part}.png",
        "masks/{image}/{nested}.png",
        "masks/{part}/{image}.png",
        "masks/{nested}/{image}.png",
        "masks/{image}_{part}.png",
    ],
)
def test_a_mask_for_each_part(path, mode, tmp_path):
    write_images(tmp_path / "images", 3, ".jpg")
    for number in range(3):
        for part, mask in part_masks(number, mode):
            file = tmp_path / path.format(image=f"photo{number:02d}", part=part, nested=part.replace("_", "/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            mask.save(file)
    (tmp_path / "names.txt").write_text("\n".join(PARTS), encoding="utf-8")
    assert MasksReader().recognises(Source(str(tmp_path)))
    check_all(read(tmp_path))


def test_masks_beside_photographs(tmp_path):
    write_images(tmp_path, 3, ".jpg")
    for number in range(3):
        Image.fromarray(part_map(number)).save(tmp_path / f"photo{number:02d}.png")
    (tmp_path / "classes.txt").write_text("\n".join(PARTS), encoding="utf-8")
    check_all(read(tmp_path))


def test_masks_beside_png_images(tmp_path):
    write_images(tmp_path, 3)
    for number in range(3):
        Image.fromarray(part_map(number)).save(tmp_path / f"photo{number:02d}_mask.png")
    (tmp_path / "classes.txt").write_text("\n".join(PARTS), encoding="utf-8")
    assert MasksReader().recognises(Source(str(tmp_path)))
    check_all(read(tmp_path))


def test_several_masks_of_one_part_are_numbered(tmp_path):
    write_images(tmp_path / "images", 1)
    folder = tmp_path / "masks" / "photo00"
    folder.mkdir(parents=True)
    left, right = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    left[3:9, 3:9], right[3:9, 20:30] = 255, 255
    for number, mask in enumerate((left, right), start=1):
        Image.fromarray(mask).save(folder / f"dog_head_{number}.png")
    (tmp_path / "names.txt").write_text("\n".join(PARTS), encoding="utf-8")
    (image,) = read(tmp_path).images
    np.testing.assert_array_equal(painted(image) == 0, (left | right) > 0)


@pytest.mark.parametrize(
    "layout",
    [
        ("images/train", "masks/train", "images/val", "masks/val"),
        ("train/images", "train/masks", "val/images", "val/masks"),
        ("train_images", "train_masks", "val_images", "val_masks"),
    ],
)
def test_splits_are_folders(layout, tmp_path):
    for images, masks in (layout[:2], layout[2:]):
        write_images(tmp_path / images, 2)
        (tmp_path / masks).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(part_map(number)).save(tmp_path / masks / f"photo{number:02d}.png")
    (tmp_path / "names.txt").write_text("\n".join(PARTS), encoding="utf-8")
    labels = read(tmp_path)
    check_all(labels, 4)
    assert sorted(image.split for image in labels.images) == ["train", "train", "validation", "validation"]
    assert len({image.image_id for image in labels.images}) == 4


def test_equal_stems_in_different_folders_stay_apart(tmp_path):
    for folder, number in (("cats", 0), ("dogs", 1)):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "masks" / folder).mkdir(parents=True)
        picture(number).save(tmp_path / "images" / folder / "1.jpg")
        Image.fromarray(part_map(number)).save(tmp_path / "masks" / folder / "1.png")
    (tmp_path / "names.txt").write_text("\n".join(PARTS), encoding="utf-8")
    labels = read(tmp_path)
    assert labels.problems == []
    first, second = labels.images
    assert first.image_id != second.image_id
    np.testing.assert_array_equal(painted(first), part_map(0))
    np.testing.assert_array_equal(painted(second), part_map(1))


def test_masks_and_images_in_two_places(tmp_path):
    write_masks(tmp_path / "all", 3)
    (tmp_path / "all" / "images").rename(tmp_path / "photographs")
    (tmp_path / "all" / "names.txt").rename(tmp_path / "names.txt")
    check_all(read(tmp_path / "all", images=tmp_path / "photographs", names=tmp_path / "names.txt"))


def test_images_elsewhere_take_the_place_of_those_beside_the_masks(tmp_path):
    write_masks(tmp_path / "labels", 3)
    write_images(tmp_path / "photographs", 3)
    labels = read(tmp_path / "labels", images=tmp_path / "photographs")
    check_all(labels)
    assert {image.image.path.parent.name for image in labels.images} == {"photographs"}


def test_a_taxonomy_may_take_the_place_of_names(tmp_path):
    write_images(tmp_path / "images", 3)
    (tmp_path / "masks").mkdir()
    for number in range(3):
        Image.fromarray(part_map(number)).save(tmp_path / "masks" / f"photo{number:02d}.png")
    with pytest.raises(DatasetError, match="--names"):
        read(tmp_path)
    check_all(read(tmp_path, taxonomy=PartTaxonomy.from_part_classes(PARTS)))


def test_sixteen_bits(tmp_path):
    write_images(tmp_path / "images", 1)
    (tmp_path / "masks").mkdir()
    values = part_map(0).astype(np.uint16)
    values[values == 255] = 65535
    values[values == 1] = 1000
    Image.fromarray(values).save(tmp_path / "masks" / "photo00.png")
    (tmp_path / "names.csv").write_text("value,object,part\n0,dog,head\n1000,dog,tail\n", encoding="utf-8")
    check_all(read(tmp_path), 1)


def test_the_object_of_indices_is_all_of_its_values(tmp_path):
    write_images(tmp_path / "images", 1)
    (tmp_path / "masks").mkdir()
    values = np.zeros(SIZE, np.uint8)
    values[2:20, 2:20], values[4:8, 4:8] = 1, 2
    Image.fromarray(values).save(tmp_path / "masks" / "photo00.png")
    (tmp_path / "names.txt").write_text("background\ndog\ndog's head\n", encoding="utf-8")
    (image,) = read(tmp_path).images
    masks = {annotation.part_name: annotation.shape.mask(*SIZE, "") for annotation in image.annotations}
    np.testing.assert_array_equal(masks[None], values > 0)
    np.testing.assert_array_equal(masks["head"], values == 2)


def test_what_is_wrong_is_named(tmp_path):
    write_masks(tmp_path, 6)
    masks = tmp_path / "masks"
    Image.fromarray(np.full(SIZE, 7, np.uint8)).save(masks / "photo00.png")
    (masks / "photo01.png").write_bytes(b"no mask")
    picture(2).save(masks / "photo02.png")
    Image.fromarray(part_map(3)).save(masks / "other.png")
    (masks / "photo03.png").rename(masks / "photo03.jpg")
    (masks / "photo04.png").unlink()
    labels = read(tmp_path)
    text = "\n".join(labels.problems)
    assert len(labels.problems) == 5
    for expected in (
        "masks/photo00.png holds the values [7], which names.txt does not name",
        "masks/photo01.png is not a whole mask",
        "masks/photo02.png has image mode RGB",
        "masks/other.png belongs to no image",
        "masks/photo03.jpg does not keep the values",
    ):
        assert expected in text
    assert any(note == "Left out: images without a mask (2)." for note in labels.notes)


def test_two_images_of_one_name_are_a_problem(tmp_path):
    write_masks(tmp_path, 1)
    picture(5).save(tmp_path / "images" / "photo00.jpg")
    assert any("photo00.jpg" in problem and "photo00.png" in problem for problem in read(tmp_path).problems)


def test_a_folder_without_masks_is_not_recognised(tmp_path):
    write_images(tmp_path / "images", 2, ".jpg")
    assert not MasksReader().recognises(Source(str(tmp_path)))
    assert not MasksReader().recognises(Source(str(tmp_path / "nowhere")))


COLOURS = {"dog's head": (128, 0, 0), "dog's tail": (0, 128, 0), "bus's wheel": (250, 50, 83), "bus's door": (1, 2, 3)}


def write_voc(folder, mode="RGB"):
    """As CVAT's "Segmentation mask 1.1": colours of classes, other colours of shapes, lists of splits."""
    write_images(folder / "JPEGImages", 3, ".jpg")
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    lines += [f"{name.replace(chr(39) + 's ', '/')}:{r},{g},{b}::" for name, (r, g, b) in COLOURS.items()]
    (folder / "labelmap.txt").write_text("\n".join(lines))
    for kind in ("SegmentationClass", "SegmentationObject"):
        (folder / kind).mkdir()
        for number in range(3):
            colours = np.zeros((256, 3), np.uint8)
            colours[1:5] = list(COLOURS.values()) if kind == "SegmentationClass" else [[9, 9, 9]] * 4
            colours[255] = (224, 224, 192)
            values = part_map(number, {name: i for i, name in enumerate(COLOURS, 1)}, none=0)
            values[-1] = 255  # the border that PASCAL VOC draws
            mask = Image.fromarray(values)
            mask.putpalette(colours.tobytes())
            mask.convert(mode).save(folder / kind / f"photo{number:02d}.png")
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, text in (("train", "photo00\n"), ("val", '"photo02"\r\n'), ("trainval", "photo00\nphoto02")):
        (folder / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(text)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_of_pascal_voc(mode, tmp_path):
    write_voc(tmp_path, mode)
    labels = read(tmp_path)
    check_all(labels)
    assert [image.split for image in labels.images] == ["train", None, "validation"]
    assert labels.notes == [] and labels.classes[0] == ("dog", "head")
    assert labels.images[0].annotations[0].name == "colour #008000 of SegmentationClass/photo00.png"


def test_what_labelme_writes_as_pascal_voc(tmp_path):
    write_masks(tmp_path, 3, palette=True)
    (tmp_path / "images").rename(tmp_path / "JPEGImages")
    (tmp_path / "masks").rename(tmp_path / "SegmentationClassPNG")
    (tmp_path / "names.txt").rename(tmp_path / "class_names.txt")
    write_images(tmp_path / "SegmentationClassVisualization", 3, ".jpg")
    write_images(tmp_path / "SegmentationObjectPNG", 3)
    labels = read(tmp_path)
    check_all(labels)
    assert labels.notes == []


def test_a_colour_without_a_name_is_a_problem(tmp_path):
    write_voc(tmp_path)
    text = (tmp_path / "labelmap.txt").read_text()
    (tmp_path / "labelmap.txt").write_text(text.replace("1,2,3", "3,2,1"))
    problem = "SegmentationClass/photo01.png holds the colours [#010203], which labelmap.txt does not name."
    assert read(tmp_path).problems == [problem]


def test_a_mask_may_have_the_whole_name_of_its_image(tmp_path):
    write_masks(tmp_path, 3)
    for path in sorted((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}.png.png"))
    check_all(read(tmp_path))


def test_files_of_names_in_two_folders_must_agree(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        write_images(tmp_path / split, 2, ".jpg")
        for number in range(2):
            mask = Image.fromarray(part_map(number, {name: i for i, name in enumerate(PARTS, 1)}, none=0))
            mask.save(tmp_path / split / f"photo{number:02d}_mask.png")
        names = "".join(f"{i}, {name}\n" for i, name in enumerate(["background", *PARTS]))
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n" + names)
    check_all(read(tmp_path), 4)
    (tmp_path / "valid" / "_classes.csv").write_text("Pixel Value, Class\n1, dog's tail\n")
    (problem,) = read(tmp_path).problems[:1]
    assert problem.startswith("train/_classes.csv and valid/_classes.csv differ")
