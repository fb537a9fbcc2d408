"""One image, any class names, every model."""

import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from ovparts_hf.errors import ConfigurationError, ImageError, OVPartsError
from ovparts_hf.inference.segmenter import PartSegmenter
from ovparts_hf.taxonomy import PartTaxonomy
from ovparts_hf.toy.world import draw

from .conftest import BENCH, CLASSES, MODELS, WITHOUT_MASKS, square

# ---- every model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT_MASKS)
def test_the_label_map_is_that_of_model_and_processor(name, models, image):
    model, processor = models(name)
    result = PartSegmenter(model, processor)(image, BENCH)
    words = {} if name == "maskformer" else {"classes": CLASSES}
    inputs = processor(images=image, **words)
    with torch.no_grad():
        outputs = model(**inputs, include_none=model.scores_none)
    size = (image.height, image.width)
    [expected] = processor.post_process_part_segmentation(outputs, [size], include_none=model.scores_none)
    assert result.classes == CLASSES
    assert result.label_map.shape == size
    assert (result.label_map == expected.numpy()).all()
    assert result.scores.min() >= 0 and result.scores.max() <= 1
    areas = list(result.areas().values())
    assert [score > 0 for score in result.scores] == [area > 0 for area in areas]
    means = [result.score_map[mask].mean(dtype=float) for mask in result.masks().values()]
    np.testing.assert_allclose(means, result.scores[result.scores > 0], atol=2e-3)
    assert not result.score_map[result.label_map < 0].any()


@pytest.mark.parametrize("name", MODELS)
def test_masks_are_filled_and_kept_to(name, models, image):
    mask = square(image)
    result = PartSegmenter(*models(name))(image, BENCH, object_masks={"bench": mask})
    assert (result.label_map[mask] >= 0).all()
    assert (result.label_map[~mask] == -1).all()


@pytest.mark.parametrize("name", MODELS)
def test_lists_give_what_single_images_give(name, models, image):
    segmenter = PartSegmenter(*models(name))
    images = [image, draw("validation", 9).image, image.resize((97, 60))]
    masks = [square(each, 20) for each in images] if name == "zsseg+" else None
    results = segmenter(images, BENCH, object_masks=masks, batch_size=2)
    for i, (each, result) in enumerate(zip(images, results, strict=True)):
        single = segmenter(each, BENCH, object_masks=None if masks is None else masks[i])
        assert (result.label_map == single.label_map).mean() > 0.999
        assert result.image.size == each.size


def test_a_model_that_needs_masks_says_so(models, image):
    segmenter = PartSegmenter(*models("zsseg+"))
    with pytest.raises(ConfigurationError, match="requires the mask of each object: give object_masks"):
        segmenter(image, BENCH)


def test_several_objects_of_one_kind_and_of_several_kinds(models, image):
    segmenter = PartSegmenter(*models("zsseg+"))
    left, right = np.zeros((2, image.height, image.width), dtype=bool)
    left[20:60, 10:50], right[20:60, 90:130] = True, True
    words = {"bench": ["seat", "back"], "duck": ["head"]}
    result = segmenter(image, words, object_masks={"bench": np.stack([left, right]), "duck": ~(left | right)})
    assert set(np.unique(result.label_map[left | right])) <= {0, 1}
    assert (result.label_map[~(left | right)] == 2).all()
    alone = segmenter(image, words, object_masks={"bench": left})
    assert (result.label_map[left] == alone.label_map[left]).all()


def test_only_parts_of_the_objects_are_scored(models, image, monkeypatch):
    model, processor = models("catseg")
    forward, masks = model.forward, []
    monkeypatch.setattr(model, "forward", lambda **inputs: masks.append(inputs["class_mask"]) or forward(**inputs))
    words = {**BENCH, "duck": ["head"]}
    regions = [{"bench": square(image)}, {"duck": square(image)}]
    PartSegmenter(model, processor)([image, image], words, object_masks=regions)
    PartSegmenter(model, processor)(image, words)
    assert masks[0].tolist() == [[True, True, True, False], [False, False, False, True]]
    assert masks[1] is None


# ---- class names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [list(CLASSES), PartTaxonomy.from_dict(BENCH), "bench: seat, back, leg"])
def test_vocabularies_in_any_form(names, segmenter, image):
    assert (segmenter(image, names).label_map == segmenter(image, BENCH).label_map).all()


@pytest.mark.parametrize("name", ["clipseg", "catseg", "partcatseg", "zsseg"])
def test_class_names_are_encoded_once(name, models, image, monkeypatch):
    model, processor = models(name)
    segmenter = PartSegmenter(model, processor)
    encode, calls = model.encode_classes, []
    monkeypatch.setattr(model, "encode_classes", lambda *args, **kwargs: calls.append(1) or encode(*args, **kwargs))
    first = segmenter(image, BENCH)
    assert len(calls) == 1
    second = segmenter([draw("validation", 3).image, image], list(CLASSES))
    assert len(calls) == 1
    assert (second[1].label_map == first.label_map).all()
    segmenter(image, {"duck": ["head"]})
    assert len(calls) == 2


@pytest.mark.parametrize(("others", "calls"), [(15, 0), (16, 1)])
def test_the_latest_vocabularies_are_kept(others, calls, models, image, monkeypatch):
    model, processor = models("clipseg")
    segmenter = PartSegmenter(model, processor)
    segmenter(image, BENCH)
    segmenter(image, ["first"])
    segmenter(image, BENCH)  # later than "first" now
    for number in range(others):
        segmenter.prepare([f"word {number}"])
    encode, encoded = model.encode_classes, []
    monkeypatch.setattr(model, "encode_classes", lambda *args, **kwargs: encoded.append(1) or encode(*args, **kwargs))
    segmenter(image, BENCH)
    assert len(encoded) == calls


def test_threads_may_share_a_segmenter(segmenter, monkeypatch):
    monkeypatch.setattr(segmenter.model, "encode_vocabulary", lambda processor, names: {"class_features": names})
    words = [f"word {number}" for number in range(18)]  # more than are kept
    failures = []

    def work(stride):
        try:
            for number in range(100_000):
                classes = (words[number * stride % 18],)
                assert segmenter._encode(classes)["class_features"] == classes
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(stride,)) for stride in (1, 5, 7, 11)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not failures


@pytest.mark.parametrize("name", ["clipseg", "zsseg+"])
def test_class_names_that_are_too_long_are_not_repeated_in_full(name, models):
    with pytest.raises(OVPartsError, match="dog's x{70}|dog x{70}") as caught:
        PartSegmenter(*models(name)).prepare({"dog": ["x" * 5000]})
    assert len(str(caught.value)) < 250


def test_a_large_vocabulary_of_any_language(segmenter, image):
    words = {"собака": [f"часть {i}" for i in range(300)], "犬": [f"頭 {i}" for i in range(200)], "🐶": ["ñ"]}
    result = segmenter(image, words)
    assert len(result.classes) == 501 and result.classes[300] == "犬's 頭 0"
    assert result.label_image().mode == "I;16"


def test_a_closed_vocabulary_needs_no_names_and_allows_no_others(models, image):
    segmenter = PartSegmenter(*models("maskformer"))
    assert segmenter(image).classes == CLASSES
    assert segmenter(image, ["bench's leg"]).classes == ("bench's leg",)
    with pytest.raises(OVPartsError, match="closed vocabulary"):
        segmenter(image, {"duck": ["head"]})


def test_parts_must_be_named_where_a_model_has_none(segmenter, image):
    with pytest.raises(OVPartsError, match="no vocabulary of its own: name parts"):
        segmenter(image)


# ---- images --------------------------------------------------------------------------------------------------------


def test_sources_of_all_kinds(segmenter, image, tmp_path):
    expected = segmenter(image, BENCH).label_map
    image.save(tmp_path / "image.png")
    image.convert("RGBA").save(tmp_path / "clear.png")
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    for source in (np.asarray(image), tensor, tensor / 255, tmp_path / "image.png", str(tmp_path / "clear.png")):
        assert (segmenter(source, BENCH).label_map == expected).all()
    assert segmenter([], BENCH) == []


def test_upright_images_get_upright_label_maps(segmenter, image, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = tmp_path / "turned.png"
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    result = segmenter(path, BENCH)
    assert result.image.size == image.size
    assert (result.label_map == segmenter(image, BENCH).label_map).all()


@pytest.mark.parametrize("name", WITHOUT_MASKS)
@pytest.mark.parametrize("size", [(1, 1), (700, 3), (2, 900)])
def test_any_shape(name, size, models):
    assert PartSegmenter(*models(name))(Image.new("L", size, 90), BENCH).label_map.shape == size[::-1]


def test_a_bad_image_in_a_list_is_named(segmenter, image):
    with pytest.raises(ImageError, match=r"no-such\.png does not exist"):
        segmenter([image, "no-such.png"], BENCH)


@pytest.mark.parametrize("size", [(640, 427), (451, 300)], ids=["rocket", "cat"])
def test_results_stream(segmenter, image, size):
    opened = []

    def images():
        for number in range(4):
            opened.append(number)
            yield image.resize(size)

    results = segmenter.stream(images(), BENCH)
    assert next(results).label_map.shape == size[::-1]
    assert opened == [0]
    assert len(list(results)) == 3


def test_any_sequence_of_images_is_a_list(segmenter, image):
    class Column(Sequence):  # as that of a data set
        def __len__(self):
            return 2

        def __getitem__(self, position):
            return [image, image][position]

    assert len(segmenter(Column(), BENCH)) == 2


@pytest.mark.parametrize("single", [Image.new("L", (4, 3)), np.zeros((3, 4, 3), dtype=np.uint8), "photo.jpg"])
def test_one_image_is_no_stream(single, segmenter):
    with pytest.raises(ConfigurationError, match="give a list or a generator"):
        next(segmenter.stream(single, BENCH))


def test_a_stream_loses_no_image_for_lack_of_masks(segmenter, image):
    masks = [{"bench": square(image)}]
    results = segmenter.stream([image, image], BENCH, object_masks=masks)
    assert next(results).areas() == segmenter(image, BENCH, object_masks=masks[0]).areas()
    with pytest.raises(ConfigurationError, match="more images than object_masks or boxes"):
        next(results)


# ---- choices ---------------------------------------------------------------------------------------------------------


def test_background_can_be_chosen(segmenter, image):
    with_none = segmenter(image, BENCH)
    without = segmenter(image, BENCH, background=False)
    assert (with_none.label_map == -1).any()
    assert (without.label_map >= 0).all()
    assert (without.label_map == with_none.label_map)[with_none.label_map >= 0].all()
    inside = segmenter(image, BENCH, object_masks=np.ones((image.height, image.width)), background=True)
    assert (inside.label_map == with_none.label_map).all()


def test_boxes_leave_room_for_the_background(segmenter, image):
    box = (0, 0, image.width, image.height)
    assert (segmenter(image, BENCH, boxes=box).label_map == segmenter(image, BENCH).label_map).all()
    result = segmenter(image, BENCH, boxes={"bench": [(0, 0, 80, 100), (90, 20, 150, 90)]}, background=False)
    expected = np.full(result.label_map.shape, False)
    expected[0:100, 0:80] = expected[20:90, 90:150] = True
    assert ((result.label_map >= 0) == expected).all()


def test_boxes_a_pixel_outside_are_clipped(segmenter, image):
    outside, inside = (-0.6, -1, image.width + 1, image.height + 0.9), (0, 0, image.width, image.height)
    maps = [segmenter(image, BENCH, boxes=box, background=False).label_map for box in (outside, inside)]
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize("regions", [{"boxes": []}, {"boxes": {"bench": []}}, {"object_masks": []}])
def test_no_boxes_are_no_objects(regions, segmenter, image):
    result = segmenter(image, BENCH, **regions)
    assert (result.label_map == -1).all() and not result.scores.any()


def test_a_mask_of_numbers_is_that_of_bools(segmenter, image):
    mask = np.zeros((image.height, image.width), dtype=bool)
    mask[20:80, 30:90] = True
    maps = [segmenter(image, BENCH, object_masks=each).label_map for each in (mask, 0.2 * mask, np.uint8(255) * mask)]
    assert (maps[0] >= 0).any() and all((each == maps[0]).all() for each in maps[1:])


def test_boxes_between_pixels_are_rounded(segmenter, image):
    masks = [
        segmenter(image, BENCH, boxes=box, background=False).label_map >= 0
        for box in [(9.6, 10.4, 50.5001, 59.7), (10, 10, 51, 60)]
    ]
    assert (masks[0] == masks[1]).all() and masks[1].sum() == 41 * 50


def test_thresholds_and_top_k(segmenter, image):
    everything = segmenter(image, BENCH, background=False)
    assert (segmenter(image, BENCH, threshold=1.0).label_map == -1).all()
    some = segmenter(image, BENCH, background=False, threshold=float(np.median(everything.scores)))
    assert 0 < (some.label_map >= 0).mean() < 1
    best = segmenter(image, BENCH, background=False, top_k=1)
    assert np.unique(best.label_map).tolist() == [int(everything.scores.argmax())]


def test_inside_a_mask_is_what_is_above_0(segmenter, image):
    mask = np.zeros((120, 160))
    mask[20:90, 30:140] = np.linspace(0.1, 0.9, 110)
    graded, plain = (segmenter(image, BENCH, object_masks=each) for each in (mask, mask > 0))
    assert (graded.label_map == plain.label_map).all() and (graded.label_map >= 0).sum() == 70 * 110


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2}, "threshold is 2; it must lie between 0 and 1"),
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"object_masks": np.ones((3, 3))}, r"The mask of 'bench' has shape \(3, 3\); the image"),
        ({"object_masks": {"duck": np.ones((120, 160))}}, "no part of 'duck'"),
        ({"object_masks": np.ones((120, 160)), "boxes": (0, 0, 5, 5)}, "give one of them"),
        ({"boxes": (0, 0, 5)}, "give .left, top, right, bottom."),
        ({"boxes": (5, 0, 5, 9)}, "is empty or leaves the image, which is 160 wide and 120 high"),
        ({"boxes": (0, 0, 162, 9)}, "is empty or leaves the image"),
        ({"boxes": (160, 0, 161, 9)}, "is empty or leaves the image"),
        ({"threshold": "0.5"}, "threshold is '0.5'; it must lie between 0 and 1"),
        ({"threshold": True}, "threshold is True; it must lie between 0 and 1"),
        ({"background": "no"}, "background is 'no'; give True, False or None"),
        (
            {"object_masks": np.linspace(-1, 1, 19200).reshape(120, 160)},
            "holds values from -1.0 to 1.0; give 0 outside",
        ),
        ({"object_masks": [[1], [1, 2]]}, "The mask of 'bench' is not an array"),
        ({"boxes": (0, 0, 1e300, 9)}, "is empty or leaves the image"),
        ({"top_k": 1.5}, r"top_k holds \[1.5\]; give integers"),
        ({"boxes": (0, 0, float("nan"), 9)}, "give .left, top, right, bottom."),
        ({"boxes": {"bench": ["left"]}}, "give .left, top, right, bottom."),
        ({"boxes": [(0, 0, 5, 5), (0, 0, 5)]}, "give .left, top, right, bottom."),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"batch_size": -1}, "batch_size is -1; it must be at least 1"),
    ],
)
def test_bad_choices_are_refused(options, message, segmenter, image):
    several = {"object_masks", "boxes"} & set(options)
    with pytest.raises(ConfigurationError if "no part" not in message else OVPartsError, match=message):
        segmenter(image if several else [image], BENCH, **options)


def test_masks_of_several_kinds_need_names(segmenter, image):
    with pytest.raises(ConfigurationError, match="Say which object each mask or box is"):
        segmenter(image, {**BENCH, "duck": ["head"]}, boxes=(0, 0, 5, 5))
    with pytest.raises(ConfigurationError, match="give a list of 2 boxes"):
        segmenter([image, image], BENCH, boxes=(0, 0, 5, 5))


def test_a_model_without_none_has_no_background(models, image):
    with pytest.raises(ConfigurationError, match="has no score of 'none', so background=True is not possible"):
        PartSegmenter(*models("maskformer"))(image, BENCH, background=True)
