"""Cards of folders: trained, converted and unknown models, measured numbers, bad input."""

import math
import shutil

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from PIL import Image

from ovparts_hf import CLIPSegPartConfig
from ovparts_hf.cli import main
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.models.loading import TOY_FOLDER, load_model
from ovparts_hf.reporting.cards import BENCHMARK_MODELS, folder_card, model_card, write_folder_card
from ovparts_hf.reporting.cards.facts import ModelFacts
from ovparts_hf.taxonomy import PASCAL_PART_116, TOY_WORLD, PartTaxonomy
from ovparts_hf.training import TrainArguments

from .reading import MEASURED_HEADING, PAPER_HEADING, check_command, commands, fences, section

FAMILIES = ("clipseg", "partclipseg", "catseg", "partcatseg", "zsseg", "maskformer")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model of each family in a folder of its own."""
    root = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        torch.manual_seed(0)
        names = dict(enumerate(TOY_WORLD.part_classes))
        labels = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
        settings = labels if family == "maskformer" else {}
        model, processor = load_model("toy" if family == "clipseg" else f"toy-{family}", **settings)
        model.save_pretrained(root / family)
        processor.save_pretrained(root / family)
    return root


@pytest.fixture
def folder(saved, tmp_path):
    """A folder that looks like CLIPSeg's."""
    (tmp_path / "mine").mkdir()
    shutil.copy(saved / "clipseg" / "config.json", tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def run(folder, tmp_path):
    """The same as the last model of a training run, on data that says what it is."""

    def make(taxonomy, **arguments):
        (tmp_path / "data").mkdir()
        taxonomy.to_json(tmp_path / "data" / "taxonomy.json")
        run = tmp_path / "my-run"
        run.mkdir()
        values = {"data": str(tmp_path / "data"), "output": str(run), "model": "CIDAS/clipseg-rd64-refined"}
        (run / "arguments.yaml").write_text(TrainArguments(**values | arguments).to_yaml())
        return folder.rename(run / "last")

    return make


def measured(**changes):
    numbers = {"mIoU": 31.25, "mIoU_seen": 41.5, "mIoU_unseen": 21.123456, "hIoU": 28.0, "fwIoU": math.nan}
    strict = {"mIoU": 30.0, "hIoU": 27.5}
    values = {
        "metrics": {**numbers, "strict": strict},
        "classes": [],
        "task": "zero_shot",
        "setting": "oracle_obj",
        "dataset": {"name": "pascal-part-116", "fingerprint": "ab12", "num_images": 20, "num_records": 31},
        "model": {"name": "x", "type": "ovparts_clipseg"},
        "seed": 0,
        "config": {"compat": "ov_parts", "objects": "/home/me/secret/maps", "label_size": [800, 1333]},
    }
    return BenchmarkResult(**{**values, **changes})


def test_only_what_was_measured_becomes_the_model_index(validator, tmp_path):
    facts = BENCHMARK_MODELS["clipseg-pascal-part-116-zero-shot"]
    card = model_card(facts, [measured(), measured(setting="pred_obj", flavour="strict", metrics={"mIoU": 12.0})])
    (tmp_path / "card.md").write_text(card)
    data = ModelCard.load(tmp_path / "card.md").data
    found = {line.metric_name: line.metric_value for line in data.eval_results}
    assert found == {
        "mIoU, ov_parts (zero_shot, oracle_obj)": 31.25,
        "mIoU_seen, ov_parts (zero_shot, oracle_obj)": 41.5,
        "mIoU_unseen, ov_parts (zero_shot, oracle_obj)": 21.1235,
        "hIoU, ov_parts (zero_shot, oracle_obj)": 28.0,
        "mIoU, strict (zero_shot, oracle_obj)": 30.0,
        "hIoU, strict (zero_shot, oracle_obj)": 27.5,
        "mIoU, strict (zero_shot, pred_obj)": 12.0,
    }
    name, again = model_index_to_eval_results(yaml.safe_load(card.split("---\n")[1])["model-index"])
    assert name == facts.name and again == data.eval_results
    assert {line.dataset_type for line in again} == {"ovparts/pascal-part-116"}
    assert again[0].metric_args["fingerprint"] == "ab12" and again[0].metric_args["num_images"] == 20
    published = {number for line in facts.published for number in line.values.values()}
    assert not published & set(found.values())

    before, after = card.split(MEASURED_HEADING)
    assert PAPER_HEADING in before and measured().table() in after and measured().table() not in before
    text = " ".join(after.split())
    assert "20 images, 31 records, definitions of `ov_parts`" in text and '`compat` "ov_parts"' in text
    assert '`objects` "maps", `label_size` [800, 1333]' in text and "secret" not in card
    assert "no numbers measured with this library" not in card
    ModelCard.load(tmp_path / "card.md").validate()


def test_weights_that_the_configuration_names_are_what_it_starts_from(run):
    clip, dino = "openai/clip-vit-base-patch16", "facebook/dinov2-small"
    card = folder_card(run(PASCAL_PART_116, model=clip, config={"backbone_weights": dino, "none_weight": 0.1}))
    assert ModelCard(card).data.base_model == [clip, dino]
    assert "DINOv2 (Meta, under Apache-2.0" in " ".join(section(card, "Licence").split())


def test_a_trained_model_says_what_it_learned_from(run):
    settings = {"steps": 300, "few_shot_list": "/home/me/secret/list.json", "task": "few_shot"}
    folder = run(PASCAL_PART_116, **settings)
    card = folder_card(folder)
    data = ModelCard(card).data
    assert (data.license, data.license_name, data.base_model) == (
        "other",
        "research-only",
        ["CIDAS/clipseg-rd64-refined"],
    )
    assert data.datasets == ["ovparts/pascal-part-116"] and data.eval_results is None
    assert card.startswith("---\n") and "\n# my-run\n" in card
    learned = section(card, "What it was trained on")
    assert "all 116 parts, in few images" in learned
    assert yaml.safe_load(fences(card, "yaml")[0]) == {
        "model": "CIDAS/clipseg-rd64-refined",
        "few_shot_list": "list.json",
        "steps": 300,
    }
    assert "PASCAL VOC" in section(card, "Licence")
    assert "paper" not in section(card, "How it was evaluated")
    assert "secret" not in card and str(folder.parent.parent) not in card
    [evaluate] = [line for line in commands(card) if line.startswith("ovparts evaluate")]
    assert check_command(evaluate).task == "few_shot"


def test_own_data_has_no_licence_that_this_library_could_state(run, tmp_path):
    taxonomy = PartTaxonomy.from_dict({"name": "chairs", "object_classes": ["chair"], "part_classes": ["chair's leg"]})
    card = folder_card(run(taxonomy, model="models/elsewhere"), name="me/chairs")
    data = ModelCard(card).data
    assert (data.license, data.license_name) == ("other", "not-stated")
    assert data.base_model is None and data.datasets is None
    licence = " ".join(section(card, "Licence").split())
    assert "**Not stated.**" in licence and "licence of chairs" in licence and "Research only" not in licence
    assert 'from_pretrained("me/chairs")' in card and '{"chair": ["leg"]}' in card


def test_data_that_is_gone_is_known_by_its_name(run):
    card = folder_card(run(TOY_WORLD, data="elsewhere/ade20k-part-234"))
    assert ModelCard(card).data.datasets == ["ovparts/ade20k-part-234"]


def test_a_toy_model_is_free(run):
    card = folder_card(run(TOY_WORLD, model="toy"))
    assert ModelCard(card).data.license == "apache-2.0"
    assert "On photographs its predictions mean nothing" in card


def test_a_converted_benchmark_model_gets_its_card(folder):
    name = "clipseg-pascal-part-116-zero-shot"
    target = folder.rename(folder.with_name(name))
    assert folder_card(target) == model_card(BENCHMARK_MODELS[name])
    assert f'from_pretrained("ovparts/{name}")' in folder_card(target, name=f"ovparts/{name}")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_snippets_of_a_card_run(family, saved, tmp_path, monkeypatch):
    shutil.copytree(saved / family, tmp_path / "models" / family)
    card = write_folder_card(tmp_path / "models" / family).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 480, 3), dtype=np.uint8)).save("photo.jpg")
    for snippet in fences(card, "python"):
        exec(snippet, {})
    assert (tmp_path / "parts.png").exists()
    assert "not recorded what it was trained on" in card and "Not stated" in card
    assert "ImageNet" not in section(card, "Licence")
    assert ("| own vocabulary | 68 classes, such as `bench's seat`;" in card) == (family == "maskformer")


def test_the_card_is_written_beside_the_model(folder, tmp_path, capsys):
    measured().to_json(tmp_path / "evaluation" / "result.json")
    assert main(["card", str(folder), "--result", str(tmp_path / "evaluation"), "--name", "me/mine"]) == 0
    written = folder / "README.md"
    results = folder / ".eval_results" / "pascal-part-116.yaml"
    assert capsys.readouterr().out.split() == [str(written), str(results)] and results.exists()
    assert ModelCard.load(written).data.model_name == "me/mine"
    assert main(["card", str(folder), "--result", str(tmp_path / "evaluation"), "--name", "me/mine"]) == 0
    written.write_text("what I wrote")
    assert main(["card", str(folder)]) == 1
    assert "overwrite" in capsys.readouterr().err and written.read_text() == "what I wrote"
    assert main(["card", str(folder), "--overwrite"]) == 0
    hidden = [path.name for path in folder.rglob("*") if path.name.startswith(".")]
    assert hidden == [".eval_results"]


def test_results_go_into_a_card_that_nobody_has_changed(folder, tmp_path):
    write_folder_card(folder)
    write_folder_card(folder, name="me/mine")
    write_folder_card(folder, [measured()], name="me/mine")
    assert ModelCard.load(folder / "README.md").data.eval_results
    with pytest.raises(ConfigurationError, match="says something else"):
        write_folder_card(folder)


def test_a_new_family_needs_neither_facts_nor_a_template(monkeypatch):
    for module in ("facts", "rendering"):
        monkeypatch.setattr(f"ovparts_hf.reporting.cards.{module}.config_class", lambda family: CLIPSegPartConfig)
    card = model_card(ModelFacts("me/novel", "Novel", "novel", "unknown", "NovelSeg", "me/novel"))
    assert "Segments the parts of objects that are named in free text" in card and "| NovelSeg (" in card
    assert "open-vocabulary" in ModelCard(card).data.tags
    assert "not recorded here" in section(card, "Licence") and card.endswith("}\n```\n")


def test_the_example_asks_for_what_the_model_knows():
    card = folder_card(TOY_FOLDER / "trained", name="me/toy")
    assert '{"bench": ["seat", "back", "leg"]}' in card and "| own vocabulary | 68 classes" in card


def test_one_card_of_the_benchmark_with_results(tmp_path):
    measured().to_json(tmp_path / "result.json")
    name = "clipseg-pascal-part-116-zero-shot"
    options = ["--out", str(tmp_path / "cards"), "--name", name, "--result", str(tmp_path / "result.json")]
    assert main(["card", *options]) == 0
    assert [path.stem for path in (tmp_path / "cards").iterdir()] == [name]
    assert ModelCard.load(tmp_path / "cards" / f"{name}.md").data.eval_results


@pytest.mark.parametrize(
    ("given", "name"), [("zsseg+_r50", "zsseg_r50"), ("mein Modell--1.", "meinModell-1"), ("~", "model")]
)
def test_a_folder_may_have_any_name(given, name, folder):
    assert f"\n# {name}\n" in folder_card(folder.rename(folder.with_name(given)))


class TestBadInput:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (None, "no config.json"),
            ("{", "no config.json"),
            ("[]", "no config.json"),
            ('{"model_type": "bert"}', "'bert'"),
        ],
    )
    def test_not_a_model(self, config, message, tmp_path):
        if config is not None:
            (tmp_path / "config.json").write_text(config)
        with pytest.raises(ConfigurationError, match=message):
            folder_card(tmp_path)

    def test_a_run_instead_of_a_model(self, run):
        with pytest.raises(ConfigurationError, match="training run.*last"):
            folder_card(run(TOY_WORLD).parent)

    def test_arguments_that_cannot_be_read(self, run):
        folder = run(TOY_WORLD)
        (folder.parent / "arguments.yaml").write_text("steps: many")
        with pytest.raises(ConfigurationError):
            write_folder_card(folder)
        assert not (folder / "README.md").exists()

    @pytest.mark.parametrize("name", ["a/b/c", "a b", "-x", "x" * 120])
    def test_a_name_that_no_repository_can_have(self, name, folder):
        with pytest.raises(ConfigurationError, match="name of a repository"):
            folder_card(folder, name=name)

    def test_a_name_of_another_family(self, folder):
        with pytest.raises(ConfigurationError, match="holds a 'clipseg' model"):
            folder_card(folder, name="catseg-pascal-part-116-zero-shot")

    def test_results_of_another_family(self, folder):
        with pytest.raises(ConfigurationError, match="ovparts_catseg"):
            folder_card(folder, [measured(model={"name": "y", "type": "ovparts_catseg"})])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "model folder"),
            (["{folder}", "--out", "{out}"], "one card"),
            (["--out", "{out}", "--result", "{result}"], "--name"),
            (["--out", "{out}", "--name", "vlpart"], "Unknown model"),
            (["--datasets", "{out}"], "no folder"),
            (["{folder}", "--result", "{folder}"], "cannot be read"),
        ],
    )
    def test_arguments(self, arguments, message, folder, tmp_path, capsys):
        measured().to_json(tmp_path / "result.json")
        places = {"folder": folder, "out": tmp_path / "out", "result": tmp_path / "result.json"}
        assert main(["card", *(argument.format(**places) for argument in arguments)]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists() and not (folder / "README.md").exists()
