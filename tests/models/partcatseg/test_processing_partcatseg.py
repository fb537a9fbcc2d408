import pytest
import torch

from ovparts_hf import PartCATSegProcessor, PartSegmentationProcessor
from ovparts_hf.errors import OVPartsError
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.partcatseg.vocabulary import LEVELS

TEMPLATES = ["{}", "a {}"]


@pytest.fixture(scope="module")
def processor():
    plain = load_model("toy-catseg")[1]
    return PartCATSegProcessor(plain.image_processor, plain.tokenizer, templates=TEMPLATES, possessive=True)


def plain_of(processor):
    """The processor that prepares each name once, as it is."""
    settings = {name: getattr(processor, name) for name in ("templates", "possessive")}
    return PartSegmentationProcessor(processor.image_processor, processor.tokenizer, **settings)


def test_each_class_is_prepared_with_the_names_of_its_part_and_object(processor):
    classes = ["dog's ear", "truck's wheel", "lamp"]
    tokens = processor(classes=classes)
    assert tokens["input_ids"].shape[:2] == (len(classes), LEVELS * len(TEMPLATES))
    assert tokens["attention_mask"].shape == tokens["input_ids"].shape
    names = ["dog's ear", "ear", "dog", "truck's wheel", "wheel", "truck", "lamp", "lamp", "lamp"]
    expected = plain_of(processor)(classes=names)
    assert torch.equal(tokens["input_ids"].flatten(0, 1), expected["input_ids"].flatten(0, 1))


def test_without_templates_a_class_has_three_rows(processor):
    plain = PartCATSegProcessor(processor.image_processor, processor.tokenizer)
    tokens = plain(classes=["dog's ear", "cat's tail"])
    assert tokens["input_ids"].shape[:2] == (2, LEVELS)
    assert torch.equal(tokens["input_ids"][:, 0], plain_of(plain)(classes=["dog's ear", "cat's tail"])["input_ids"])


def test_names_are_packed_in_rows_as_those_of_classes_are(processor):
    names = ["dog", "ear", "dog's ear", "lamp"]
    tokens = processor.pack_names(names)["input_ids"]
    expected = plain_of(processor)(classes=[*names, "dog", "dog"])["input_ids"]
    assert tokens.shape[:2] == (2, LEVELS * len(TEMPLATES))
    assert torch.equal(tokens.flatten(0, 1), expected.flatten(0, 1))


def test_saved_and_loaded_it_prepares_the_same(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    loaded = PartCATSegProcessor.from_pretrained(tmp_path)
    assert loaded.templates == TEMPLATES and loaded.possessive
    assert torch.equal(loaded(classes=["dog's ear"])["input_ids"], processor(classes=["dog's ear"])["input_ids"])


@pytest.mark.parametrize("classes", ["dog's ear", [], [""], ["dog's ear", 3]])
def test_refuses_what_is_no_list_of_classes(classes, processor):
    with pytest.raises(OVPartsError):
        processor(classes=classes)
