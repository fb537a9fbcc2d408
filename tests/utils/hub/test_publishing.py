"""Pushing from this process to a Hub of our own."""

import json
import shutil

import pytest
from huggingface_hub import constants

from ovparts_hf.cli import main
from ovparts_hf.data.custom.dataset import prepare_custom
from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import ToyWorld
from ovparts_hf.errors import ConfigurationError, HubError
from ovparts_hf.utils.push import push_folder

from ...data.labelled import write_coco
from .conftest import ROOT, contents, pushed
from .repositories import Refusal

METRIC = ROOT / "ovparts_hf" / "metrics" / "part_miou"


@pytest.fixture
def model(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "model")


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    builder = ToyWorld({"train": 500, "validation": 20})
    return write_repository(builder, tmp_path_factory.mktemp("toy") / "world", progress=False)


def test_a_model_arrives_byte_for_byte_in_one_commit_and_private(hub, here, model):
    address = push_folder(model, "me/whole", message="First weights")
    repository = hub.find("model", "me/whole")
    assert pushed(hub, "model", "me/whole") == contents(model)
    assert [commit.title for commit in repository.commits] == ["initial commit", "First weights"]
    assert repository.private
    assert address == f"{constants.ENDPOINT}/me/whole/commit/{repository.commit().oid}"


def test_public_if_asked(hub, here, model):
    push_folder(model, "me/for-all", public=True)
    assert not hub.find("model", "me/for-all").private
    push_folder(model, "me/for-me")
    with pytest.raises(ConfigurationError, match="'me/for-me' exists and is private"):
        push_folder(model, "me/for-me", public=True)


def test_what_stays_here(hub, here, model, model_folder, caplog):
    caplog.set_level("INFO")
    state = ["states/step-00000002/model.safetensors", "checkpoints/step-00000002/model.safetensors"]
    state += ["checkpoint-5/config.json", "optimizer.bin", "training_args.bin"]
    hidden = [".env", ".cache/huggingface/x.json", ".last/config.json", "__pycache__/modeling.cpython-311.pyc", "token"]
    for name in (*state, *hidden, "log.jsonl", "rng_state_0.pth", "figures/loss.png"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("{}")
    push_folder(model, "me/clean")
    assert set(pushed(hub, "model", "me/clean")) == {*contents(model_folder), "figures/loss.png"}
    for name in ("Left out", "optimizer.bin", "states/step-00000002/model.safetensors"):
        assert name in caplog.text
    for name in hidden[:-1]:
        assert name not in caplog.text


def test_weights_of_an_earlier_push_go_and_other_files_stay(hub, here, model):
    repository = hub.create("model", "me/sharded", private=True)
    before = {"model-00001-of-00002.safetensors": b"old", "model.safetensors.index.json": b"{}", "image.png": b"mine"}
    repository.add_commit("two shards", before)
    push_folder(model, "me/sharded")
    assert dict(repository.commit().files) == {**contents(model), "image.png": b"mine"}


def test_what_has_arrived_is_not_sent_again(hub, here, model):
    push_folder(model, "me/twice")
    commits, uploads = len(hub.find("model", "me/twice").commits), list(hub.uploads)
    push_folder(model, "me/twice")
    assert len(hub.find("model", "me/twice").commits) == commits
    assert hub.uploads == uploads


def test_a_dataset_is_its_card_taxonomy_and_shards(hub, here, toy_folder, tmp_path):
    folder = shutil.copytree(toy_folder, tmp_path / "world")
    (folder / "notes.txt").write_text("mine")
    push_folder(folder, "me/world", public=True)
    assert pushed(hub, "dataset", "me/world") == contents(toy_folder)


def test_results_for_leaderboards_go_along(hub, here, model, toy_folder, tmp_path):
    """Hidden otherwise stays here; `eval.yaml` is added to datasets that were prepared without it."""
    result = model / ".eval_results" / "toy-world.yaml"
    for path in (result, result.with_suffix(".txt"), model / ".other" / "toy-world.yaml"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("[]\n")
    push_folder(model, "me/scored")
    expected = {**contents(model), ".eval_results/toy-world.yaml": b"[]\n"}
    assert pushed(hub, "model", "me/scored") == expected
    folder = shutil.copytree(toy_folder, tmp_path / "world")
    (folder / "eval.yaml").unlink()
    assert main(["push", str(folder), "me/benchmark"]) == 0
    assert pushed(hub, "dataset", "me/benchmark") == contents(toy_folder)
    assert "eval.yaml" in contents(toy_folder)


def test_a_hub_that_does_not_know_the_benchmark_gets_the_data_alone(hub, here, toy_folder, monkeypatch, caplog):
    monkeypatch.setattr(hub, "refused_files", {"eval.yaml": "Invalid input at evaluation_framework in eval.yaml"})
    push_folder(toy_folder, "me/unlisted")
    expected = contents(toy_folder)
    assert pushed(hub, "dataset", "me/unlisted") == {name: expected[name] for name in expected if name != "eval.yaml"}
    assert "does not take eval.yaml: Invalid input at evaluation_framework in eval.yaml. Pushed without." in caplog.text
    monkeypatch.setattr(hub, "refused_files", {"README.md": "Invalid metadata in README.md"})
    with pytest.raises(HubError, match="rejected the request .* Invalid metadata"):
        push_folder(toy_folder, "me/evaluations")
    assert pushed(hub, "dataset", "me/evaluations") == {}


def test_photographs_are_not_shown_to_everybody(hub, here, pascal_folder):
    hub.create("dataset", "me/open", private=False)
    with pytest.raises(ConfigurationError, match="photographs of others.*--i-have-the-rights"):
        push_folder(pascal_folder, "me/pascal", public=True)
    with pytest.raises(ConfigurationError, match="public repository 'me/open' .there already."):
        push_folder(pascal_folder, "me/open")
    with pytest.raises(KeyError):
        hub.find("dataset", "me/pascal")
    assert pushed(hub, "dataset", "me/open") == {}
    push_folder(pascal_folder, "me/open", i_have_the_rights=True)
    for _ in range(2):
        push_folder(pascal_folder, "me/hidden")
    assert pushed(hub, "dataset", "me/open") == pushed(hub, "dataset", "me/hidden") == contents(pascal_folder)


def test_a_dataset_of_own_labels_goes_with_its_split(hub, here, tmp_path):
    write_coco(tmp_path / "source", 5)
    folder = prepare_custom(tmp_path / "source", tmp_path / "mine", progress=False)
    push_folder(folder, "me/mine")
    assert pushed(hub, "dataset", "me/mine") == contents(folder)
    assert "split.json" in contents(folder)
    with pytest.raises(ConfigurationError, match="photographs of others"):
        push_folder(folder, "me/mine-for-all", public=True)


@pytest.mark.parametrize("taxonomy", ['{"cat": ["ear"]}', '["toy-world"]', '{"name": "custom"}'])
def test_only_the_toy_world_is_known_to_hold_no_photographs(hub, here, toy_folder, tmp_path, taxonomy):
    folder = shutil.copytree(toy_folder, tmp_path / "world")
    (folder / "taxonomy.json").write_text(taxonomy)
    with pytest.raises(ConfigurationError, match="photographs of others"):
        push_folder(folder, "me/other-world", public=True)
    (folder / "taxonomy.json").write_text("{")
    with pytest.raises(ConfigurationError, match="taxonomy.json is not valid JSON"):
        push_folder(folder, "me/other-world")


def test_a_web_page_is_a_space(hub, here):
    folder = ROOT / "examples" / "space"
    push_folder(folder, "me/parts")
    assert pushed(hub, "space", "me/parts") == contents(folder)


def test_a_metric_is_a_space(hub, here):
    push_folder(METRIC, "me/part_miou", public=True)
    assert pushed(hub, "space", "me/part_miou").keys() == {"README.md", "app.py", "part_miou.py", "requirements.txt"}


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_access_tokens_are_found(here, model, name):
    (model / name).write_text(json.dumps({"token": "hf_" + "a1B2" * 9}))
    with pytest.raises(ConfigurationError, match=f"{name} holds what looks like an access token"):
        push_folder(model, "me/leak")


def test_folders_of_no_kind(here, model, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(model, run / "last")
    with pytest.raises(ConfigurationError, match="neither a model .* Did you mean .*run/last"):
        push_folder(run, "me/run")
    with pytest.raises(ConfigurationError, match="There is no folder nowhere"):
        push_folder("nowhere", "me/run")
    (model / "README.md").write_text("---\nsdk: [\n---\n")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        push_folder(model, "me/run")
    (model / "README.md").write_bytes(b"# Caf\xe9\n")
    with pytest.raises(ConfigurationError, match="README.md is not YAML in UTF-8"):
        push_folder(model, "me/run")


@pytest.mark.parametrize(
    "name", ["model", "a/b/c", "me/a b", "https://huggingface.co/me/model", "/model", "me/-model", "me/modèle"]
)
def test_names_that_are_none(hub, here, model, name):
    requests_before = len(hub.requests)
    with pytest.raises(ConfigurationError, match="has the form owner/name"):
        push_folder(model, name)
    assert len(hub.requests) == requests_before


@pytest.mark.parametrize(
    ("token", "repo_id", "message"),
    [
        (None, "me/model", "You are not logged in to the Hub: log in with"),
        ("hf_wrong", "me/model", "does not accept your token"),
        ("hf_reader", "me/model", "may only read"),
        ("hf_writer", "other/model", r"your token is for \['me', 'ovparts'\]"),
    ],
)
def test_who_may_push(here, model, token, repo_id, message):
    here(token)
    with pytest.raises(HubError, match=message) as caught:
        push_folder(model, repo_id)
    assert "\n" not in str(caught.value)


def test_a_commit_in_between_is_not_overwritten(hub, here, model, monkeypatch):
    repository = hub.create("model", "me/busy", private=True)
    writable, calls = hub.writable, []

    def change_in_between(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            repository.add_commit("from elsewhere", {"config.json": b"from elsewhere"})
        return writable(*arguments)

    monkeypatch.setattr(hub, "writable", change_in_between)
    with pytest.raises(HubError, match="changed the model repository 'me/busy' at the same time"):
        push_folder(model, "me/busy")
    assert repository.commit().title == "from elsewhere"


def test_a_card_that_the_hub_does_not_take(hub, here, model):
    (model / "README.md").write_text("---\nlicense: 5\n---\n# A model\n")
    with pytest.raises(HubError, match='rejected the request for the model repository .* "license" must be a string'):
        push_folder(model, "me/card")
    assert pushed(hub, "model", "me/card") == {}


@pytest.mark.parametrize(("status", "message"), [(429, "limits the rate"), (507, "failed on the model repository")])
def test_a_hub_in_trouble(hub, here, model, monkeypatch, status, message):
    def trouble(*arguments):
        raise Refusal(status, "", "Out of order")

    monkeypatch.setattr(hub, "readable", trouble)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(HubError, match=message):
        push_folder(model, "me/trouble")
