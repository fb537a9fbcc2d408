"""One sentence for everything that can go wrong on the way to the Hub and back."""

import pytest
from huggingface_hub import constants, hf_hub_download, snapshot_download

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.errors import ConfigurationError, DatasetError, HubError
from ovparts_hf.models.loading import load_config, load_model
from ovparts_hf.utils.hub import format_hub_error, hub_errors
from ovparts_hf.utils.push import push_folder

from .endpoint import use_endpoint
from .server import HubHandler


@pytest.fixture(autouse=True)
def _own_cache(here, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.fixture(scope="module", autouse=True)
def _repositories(hub):
    hub.create("model", "me/empty", private=False)
    hub.create("model", "me/secret", private=True)
    hub.create("model", "me/gated", private=False).gated = True
    hub.create("dataset", "me/data", private=False)
    bert = hub.create("model", "me/bert", private=False)
    bert.add_commit("another kind", {"config.json": b'{"model_type": "bert"}'})
    unknown = hub.create("model", "me/unknown", private=False)
    unknown.add_commit("an unknown kind", {"config.json": b'{"model_type": "my_own"}'})


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        (None, "me/missing", r"no model repository 'me/missing' at http\S+, or it is private; then log in"),
        (None, "me/secret", "no model repository 'me/secret' at .*, or it is private"),
        ("hf_other", "me/secret", "no model repository 'me/secret' at .* that your token may see"),
        (None, "me/data", "no model repository 'me/data'"),
        ("hf_wrong", "me/empty", "does not accept your token; get one at http"),
        (None, "me/gated", r"'me/gated' is gated: ask for access at http://127.0.0.1:\d+/me/gated, and log in"),
        (None, "me/bert", r"'me/bert' is a 'bert' model; this library takes .*'clipseg'"),
        (None, "me/unknown", "`my_own`"),
        (None, "me/empty", "No model configuration at 'me/empty'"),
        (None, "me//odd", "There is no such folder, and a name on the Hub"),
    ],
)
def test_loading_a_model(here, token, name, message):
    here(token)
    for load in (load_config, load_model):
        with pytest.raises(ConfigurationError, match=message) as caught:
            load(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "name", "revision", "message"),
    [
        (None, "me/missing", None, "no dataset repository 'me/missing'"),
        ("hf_wrong", "me/data", None, "does not accept your token"),
        (None, "me/data", "v9", "'me/data' has no such revision .*v9"),
        (None, "me/data", None, "it has no taxonomy.json"),
        (None, "me/empty", None, "no dataset repository 'me/empty'"),
        (None, "not a name", None, "There is no such folder, and a name on the Hub"),
    ],
)
def test_loading_a_dataset(here, token, name, revision, message):
    here(token)
    with pytest.raises(DatasetError, match=message) as caught:
        PartDataset.load(name, revision=revision)
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing(here, hub, model_folder):
    config = (model_folder / "config.json").read_bytes()
    hub.create("model", "me/no-weights", private=False).add_commit("half of it", {"config.json": config})
    with pytest.raises(ConfigurationError, match="No weights at 'me/no-weights'"):
        load_model("me/no-weights")


def test_a_missing_file_and_a_full_cache(here):
    with (
        pytest.raises(HubError, match="model repository 'me/empty' has no file x.json"),
        hub_errors("me/empty", "model"),
    ):
        hf_hub_download("me/empty", "x.json")
    assert format_hub_error(OSError(28, "No space left on device"), "me/empty") is None


def test_something_else_answers(here, monkeypatch, model_folder):
    monkeypatch.setattr(HubHandler, "do_GET", lambda handler: handler._answer(b"<html>Welcome to the hotel</html>"))
    for token in (None, "hf_writer"):
        here(token)
        with pytest.raises(HubError, match="is not a Hub. Check HF_ENDPOINT"):
            push_folder(model_folder, "me/new")
        with pytest.raises(ConfigurationError, match="is not a Hub"):
            load_config("me/new")
        with pytest.raises(DatasetError, match="is not a Hub"):
            PartDataset.load("me/new")


@pytest.mark.parametrize("offline", [True, False])
def test_no_network(here, monkeypatch, model_folder, offline):
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("It waits, instead of saying what is wrong"))
    why = "HF_HUB_OFFLINE forbids" if offline else "Hub at http://127.0.0.1:9 cannot be reached .*Connection refused"
    with pytest.raises(ConfigurationError, match=why):
        load_config("me/bert")
    with pytest.raises(DatasetError, match=why):
        PartDataset.load("me/data")
    with pytest.raises(HubError, match=why) as caught:
        push_folder(model_folder, "me/bert")
    assert "in the cache" not in str(caught.value)
    with pytest.raises(HubError, match=why), hub_errors("me/empty", "model"):
        snapshot_download("me/empty")
