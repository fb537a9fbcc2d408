"""Facts about data, models and machines, and the model that follows."""

from dataclasses import replace

import pytest

from ovparts_hf import PartDataset, load_model
from ovparts_hf.errors import DatasetError
from ovparts_hf.training.finetuning.facts import DataFacts, MachineFacts, ModelFacts, choose_base, validation_images


def test_a_drawn_dataset(garden_folder):
    facts = DataFacts.of(PartDataset.load(garden_folder))
    assert facts == DataFacts("toy-garden", 12, 8, 26, has_unseen=False, is_sided=False, is_drawn=True)


def test_released_datasets(pascal, ade):
    facts = DataFacts.of(pascal)
    assert facts.parts == 116 and facts.has_unseen and not facts.is_sided
    assert len(validation_images(ade)) == 4


def test_without_a_validation_split_nothing_is_scored(garden_folder):
    dataset = PartDataset.load(garden_folder)
    del dataset.splits["validation"]
    assert DataFacts.of(PartDataset(dataset.taxonomy, dataset.splits)).scored == 0


def test_parts_that_tell_left_from_right(garden_folder):
    dataset = PartDataset.load(garden_folder)
    names = tuple(name.replace("hat", "left hat") for name in dataset.taxonomy.part_classes)
    sided = replace(dataset.taxonomy, part_classes=names)
    dataset.taxonomy = sided
    assert DataFacts.of(dataset).is_sided


def test_data_without_labels_are_refused(garden_folder):
    dataset = PartDataset.load(garden_folder)
    dataset.splits["train"] = dataset.splits["train"].select([])
    with pytest.raises(DatasetError, match="'toy-garden' has no labelled training image. Label some"):
        DataFacts.of(PartDataset(dataset.taxonomy, dataset.splits))


def test_models():
    facts = ModelFacts.of("toy-trained", *load_model("toy-trained"))
    assert (facts.family, facts.side, facts.is_square, facts.takes_dice) == ("clipseg", 96, True, True)
    assert 0 < facts.parameters < 10**6 and facts.scores_any_class and not facts.requires_object_masks
    assert facts.trainable_with_few == "VA+F+D"
    guided = ModelFacts.of("toy-partcatseg", *load_model("toy-partcatseg"))
    assert guided.trainable_with_few == guided.trainable_with_many == "B+D", "CLIP is never trained, as in the paper"
    closed = ModelFacts.of("toy-maskformer", *load_model("toy-maskformer"))
    assert not closed.scores_any_class and closed.trainable_with_few == "all" and not closed.takes_dice


def test_the_machine():
    facts = MachineFacts.here()
    assert facts.cores >= 1 and facts.device


def test_the_base_follows_from_the_images():
    drawn = DataFacts("mine", 30, 0, 5, has_unseen=False, is_sided=False, is_drawn=True)
    assert choose_base(None, drawn)[0].name == "toy-trained"
    assert choose_base(None, replace(drawn, is_drawn=False))[0].name == "CIDAS/clipseg-rd64-refined"
    source, why = choose_base("catseg", drawn)
    assert (source.name, source.family) == ("openai/clip-vit-base-patch16", "catseg") and "catseg" in why
    assert choose_base("toy", drawn)[0].name == "toy"
