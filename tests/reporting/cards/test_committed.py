"""The cards in `model_cards` and `dataset_builders`: no drift, valid, and what they say can be done."""

import re

import pytest
from huggingface_hub import DatasetCard, ModelCard

import ovparts_hf
from ovparts_hf.cli import main
from ovparts_hf.models.auto import config_class
from ovparts_hf.models.convert import _check_options
from ovparts_hf.reporting.cards import BENCHMARK_MODELS, DATASET_CARDS, model_card
from ovparts_hf.reporting.cards.benchmark import benchmark_models
from ovparts_hf.reporting.paper import published
from ovparts_hf.taxonomy import ADE20K_PART_234, PASCAL_PART_116

from .reading import (
    MEASURED_HEADING,
    OTHERS_HEADING,
    PAPER_HEADING,
    ROOT,
    check_command,
    commands,
    fences,
    section,
    tables,
)

MODELS = {path.stem: path for path in sorted((ROOT / "model_cards").glob("*.md"))}
DATASETS = {name: ROOT / "dataset_builders" / folder / "README.md" for name, folder in DATASET_CARDS.items()}
PASCAL, ADE = "pascal-part-116", "ade20k-part-234"
RELATIVES = ("partimagenet", "partimagenet-ood", "paco-lvis")
ZERO_SHOT_ROWS = {
    f"maskformer-{PASCAL}-supervised": [(PASCAL, 0)],
    f"zsseg-{PASCAL}-zero-shot": [(PASCAL, 1)],
    f"zsseg-plus-cptcoop-{PASCAL}-zero-shot": [(PASCAL, 2)],
    f"zsseg-plus-cptcocoop-{PASCAL}-zero-shot": [(PASCAL, 3)],
    f"zsseg-plus-r101c-cptcoop-{PASCAL}-zero-shot": [(PASCAL, 4)],
    "catseg-not-fine-tuned": [(PASCAL, 5), (ADE, 4)],
    f"catseg-{PASCAL}-zero-shot": [(PASCAL, 6)],
    "clipseg-not-fine-tuned": [(PASCAL, 7), (ADE, 6)],
    f"clipseg-{PASCAL}-zero-shot": [(PASCAL, 8)],
    f"maskformer-{ADE}-supervised": [(ADE, 0)],
    f"zsseg-plus-cptcoop-{ADE}-zero-shot": [(ADE, 1)],
    f"zsseg-plus-cptcocoop-{ADE}-zero-shot": [(ADE, 2)],
    f"zsseg-plus-r101c-cptcoop-{ADE}-zero-shot": [(ADE, 3)],
    f"catseg-{ADE}-zero-shot": [(ADE, 5)],
    f"clipseg-{ADE}-zero-shot": [(ADE, 7)],
}
CROSS_ROWS = {
    f"catseg-{ADE}-cross-dataset": 0,
    f"clipseg-{ADE}-cross-dataset-va-l-f": 1,
    f"clipseg-{ADE}-cross-dataset": 2,
}
AUTHORS = {
    *(f"partclipseg-{data}-zero-shot" for data in (PASCAL, ADE, "partimagenet")),
    *(f"partcatseg-{data}-zero-shot" for data in (PASCAL, ADE, "partimagenet", "partimagenet-ood")),
}
"""Models of their families' authors: none of them has a number in the text of a repository."""
CHECKPOINTS = AUTHORS - {"partclipseg-partimagenet-zero-shot", "partcatseg-partimagenet-ood-zero-shot"}
FEW_SHOT = {f"clipseg-{PASCAL}-few-shot", f"clipseg-{ADE}-few-shot"}
RELEASED = {
    *(f"{model}-{data}-zero-shot" for model in ("zsseg-plus-cptcoop", "clipseg", "catseg") for data in (PASCAL, ADE)),
    *FEW_SHOT,
    f"clipseg-{ADE}-cross-dataset",
}


def test_there_is_a_card_for_each_row_of_the_tables_and_each_released_checkpoint():
    assert set(MODELS) == set(BENCHMARK_MODELS) == {*ZERO_SHOT_ROWS, *CROSS_ROWS, *FEW_SHOT, *AUTHORS}
    assert {name for name, facts in BENCHMARK_MODELS.items() if facts.origin == "released"} == RELEASED | CHECKPOINTS
    assert sum(len(row["datasets"]) for row in published()["released_checkpoints"]) == len(RELEASED)
    for dataset in (PASCAL, ADE):
        found = [row for rows in ZERO_SHOT_ROWS.values() for data, row in rows if data == dataset]
        assert sorted(found) == list(range(len(published()["zero_shot"][dataset])))


def test_the_command_writes_what_is_committed(tmp_path, capsys):
    for folder in DATASET_CARDS.values():
        (tmp_path / "builders" / folder).mkdir(parents=True)
    assert main(["card", "--out", str(tmp_path / "cards"), "--datasets", str(tmp_path / "builders")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(MODELS) + len(DATASETS)
    assert {path.name for path in (tmp_path / "cards").iterdir()} == {path.name for path in MODELS.values()}
    for path in MODELS.values():
        assert (tmp_path / "cards" / path.name).read_bytes() == path.read_bytes(), path.name
    for name, path in DATASETS.items():
        assert (tmp_path / "builders" / DATASET_CARDS[name] / "README.md").read_bytes() == path.read_bytes(), name


@pytest.mark.parametrize("name", MODELS)
def test_model_cards_are_valid(name, validator):
    card = ModelCard.load(MODELS[name])
    card.validate()
    assert type(card.data)(**card.data.to_dict()).to_dict() == card.data.to_dict()
    data = card.data.to_dict()
    assert data["license"] == "other" and data["license_name"] == "research-only"
    assert data["pipeline_tag"] == "image-segmentation" and data["library_name"] == "transformers"
    assert {"ovparts", "part-segmentation"} <= set(data["tags"])
    assert ("open-vocabulary" in data["tags"]) == (not name.startswith("maskformer"))
    assert "model-index" not in data and MEASURED_HEADING not in str(card)


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_cards_are_valid(name, validator):
    card = DatasetCard.load(DATASETS[name])
    card.validate()
    assert card.data.task_categories == ["image-segmentation"]
    assert (card.data.license == "apache-2.0") == (name == "toy-world")


@pytest.mark.parametrize(
    "changes",
    [{"license_name": None}, {"license": "none-of-yours"}, {"license_link": "LICENCE IS LOST"}, {"tags": "one"}],
)
def test_the_validator_refuses_other_headers(changes, validator):
    card = ModelCard.load(next(iter(MODELS.values())))
    for key, value in changes.items():
        setattr(card.data, key, value)
    with pytest.raises(ValueError, match=next(iter(changes))):
        card.validate()


@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_the_papers_and_say_so(name):
    card = MODELS[name].read_text(encoding="utf-8")
    if name in FEW_SHOT | AUTHORS:
        reason = "states no numbers, so there are none" if name in AUTHORS else "no numbers of few-shot models"
        assert reason in " ".join(card.split()) and PAPER_HEADING not in card
        assert not re.findall(r"\b\d+\.\d\d\b", card.split(OTHERS_HEADING)[0])
        assert (OTHERS_HEADING in card) == (name == f"partcatseg-{PASCAL}-zero-shot")
        return
    if name in CROSS_ROWS:
        row = published()["cross_dataset"]["rows"][CROSS_ROWS[name]]
        expected = [[row[role][setting]] for role in ("source", "target") for setting in ("oracle_obj", "pred_obj")]
    else:
        rows = [published()["zero_shot"][dataset][row] for dataset, row in ZERO_SHOT_ROWS[name]]
        expected = [row[setting] for row in rows for setting in ("oracle_obj", "pred_obj")]
    found = [[None if cell == "-" else float(cell) for cell in row[2:]] for row in tables(card, PAPER_HEADING)]
    assert found == expected
    decimals = re.findall(r"\b\d+\.\d\d\b", card.split(PAPER_HEADING)[0])
    assert not decimals, "a number above the heading that says whose it is"


@pytest.mark.parametrize("name", MODELS)
def test_commands_can_be_run(name):
    card = MODELS[name].read_text(encoding="utf-8")
    facts = BENCHMARK_MODELS[name]
    lines = commands(card)
    assert sum(line.startswith("ovparts evaluate") for line in lines) == len(facts.evaluations) > 0
    found = {line.split()[1]: check_command(line) for line in reversed(lines)}
    if facts.origin == "released":
        convert = found["convert"]
        assert convert.family == facts.family and str(convert.out) == facts.location
        assert (convert.trained_on or facts.trained_on.name) == facts.trained_on.name
        _check_options(
            convert.family, trained_on=convert.trained_on, backbone=convert.backbone, prompts=convert.prompts
        )
    if facts.training:
        arguments = found["train"].arguments
        assert (arguments.task, arguments.data) == (facts.task, f"data/{facts.trained_on.name}")
        assert facts.finetuning in (None, arguments.trainable) or facts.family in ("zsseg", "maskformer")
        assert facts.origin == "released" or facts.location == f"{arguments.output}/last"
        if arguments.prompts:
            assert any(line.startswith("python examples/tune_prompts.py") for line in lines)


@pytest.mark.parametrize(
    "path", [*MODELS.values(), *DATASETS.values()], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_snippets_are_python_with_names_that_exist(path):
    snippets = fences(path.read_text(encoding="utf-8"), "python")
    assert snippets
    for snippet in snippets:
        compile(snippet, str(path), "exec")
        for names in re.findall(r"from ovparts_hf import (.*)", snippet):
            assert all(hasattr(ovparts_hf, name) for name in names.split(", "))


@pytest.mark.parametrize("name", MODELS)
def test_model_cards_state_licence_limits_and_what_was_not_verified(name):
    card = MODELS[name].read_text(encoding="utf-8")
    assert "\n\n\n" not in card and card.endswith(".\n")
    facts = BENCHMARK_MODELS[name]
    licence = " ".join(section(card, "Licence").split())
    assert "esearch only" in licence and "Not confirmed: " in licence
    assert ("whose author states no licence" in licence) == (facts.family in ("clipseg", "partclipseg"))
    assert "CLIP (OpenAI, whose code is under MIT)" in licence or facts.family in (
        "maskformer",
        "clipseg",
        "partclipseg",
    )
    assert ("PASCAL VOC" in licence) == (facts.trained_on is PASCAL_PART_116)
    assert ("ADE20K" in licence) == (facts.trained_on is ADE20K_PART_234)
    assert ("ImageNet, which are for non-commercial" in licence) == (name.count("partimagenet") == 1)
    assert ("OV-PARTS, where the part labels" in licence) == (facts.trained_on in (PASCAL_PART_116, ADE20K_PART_234))
    assert ("part labels and the checkpoint come from" in licence) == (name in RELEASED)
    assert ("Its authors state no licence of the checkpoint" in licence) == (name in CHECKPOINTS)
    assert ("Not confirmed: " in licence and "the licence of the checkpoint" in licence) == (name in CHECKPOINTS)
    for heading in ("Intended use", "Limits and biases", "Citation", "What it was trained on", "How it was evaluated"):
        assert len(section(card, heading)) > 60, heading
    text = " ".join(card.split())
    assert ("released file itself was not loaded here" in text) == (facts.origin != "recipe")
    assert ("The authors released no checkpoint" in text) == (facts.origin == "recipe")
    assert f"`{config_class(facts.family).model_type}`" in card


@pytest.mark.parametrize("name", sorted(AUTHORS))
def test_models_of_their_authors_say_whose_they_are_and_how_they_score(name):
    card, facts = MODELS[name].read_text(encoding="utf-8"), BENCHMARK_MODELS[name]
    family, repository = facts.family, facts.authors.repository
    assert repository == {"partclipseg": "kaist-cvml/part-clipseg", "partcatseg": "kaist-cvml/part-catseg"}[family]
    assert f"(https://github.com/{repository})" in card and "the authors of OV-PARTS" not in card
    lines = [line for line in commands(card) if line.startswith("ovparts evaluate")]
    found = [check_command(line) for line in lines]
    assert [(options.setting, options.metrics) for options in found] == [("oracle_obj", family), ("pred_all", family)]
    assert len({str(options.out) for options in found}) == 2
    if family == "partcatseg":
        converted = [line for line in commands(card) if line.startswith("ovparts convert")]
        assert converted and all("text_weights=openai/clip-vit-base-patch16" in line for line in converted)


def test_what_models_start_from_and_whose_they_are_is_in_the_list_of_licences():
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    starts = {name for facts in BENCHMARK_MODELS.values() for name in facts.starts_from if "/" in name}
    assert len(starts) > 4 and [name for name in sorted(starts) if f"`{name}`" not in text] == []
    authors = {facts.authors.url: facts.authors for facts in BENCHMARK_MODELS.values() if facts.authors}
    assert len(authors) == 2
    for url, about in authors.items():
        assert f"({url})" in text
        assert [file for file in about.checkpoints.values() if file and f"`{file}`" not in text] == []


def test_cards_of_prepared_data_are_valid(pascal_folder, ade_folder, validator):
    for folder in (pascal_folder, ade_folder):
        card = DatasetCard.load(folder / "README.md")
        card.validate()
        assert card.data.license == "other" and "{counts}" not in card.text


def test_dataset_cards_state_licence_and_keep_the_place_of_the_counts():
    for name, path in DATASETS.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n{counts}\n") == 1
        plain = " ".join(text.split())
        assert ("OV-PARTS states no licence" in plain) == (name in (ADE, PASCAL))
        assert ("Not confirmed: the licence of the part labels" in plain) == (name in RELATIVES)
        assert ("keep the repository private" in plain) == (name != "toy-world")
        assert ("few_shot_16" in plain) == (name not in RELATIVES)
    ade, pascal = (" ".join(DATASETS[name].read_text(encoding="utf-8").split()) for name in (ADE, PASCAL))
    assert "234 part classes of 44 object classes. 33 objects are seen, 11 are not" in ade
    assert "non-commercial research" in ade and "BSD-3" in ade and "Not confirmed" in ade
    assert "116 part classes of 20 object classes. 15 objects are seen, 5 are not (bird, car, dog" in pascal
    assert "Boat, chair, diningtable, sofa have no parts" in pascal and "Flickr" in pascal
    seg, ood, paco = (" ".join(DATASETS[name].read_text(encoding="utf-8").split()) for name in RELATIVES)
    assert "147 part classes of 40 object classes. 25 objects are seen, 15 are not (school bus, box turtle" in seg
    assert (
        "482 part classes of 128 object classes. 109 objects are seen, 19 are not" in ood and "PartCLIPSeg" not in ood
    )
    assert (
        "456 part classes of 75 object classes. All objects are seen in training. Ball, napkin have no parts." in paco
    )


def test_cards_follow_the_facts(monkeypatch):
    monkeypatch.setitem(published()["zero_shot"][PASCAL][8], "oracle_obj", [1.0, 2.0, 1.33])
    assert "1.33" in model_card(benchmark_models()[f"clipseg-{PASCAL}-zero-shot"])
