"""Pushes that do not reach their end, and commands that cannot begin."""

import json
import shutil
import signal
from itertools import zip_longest

import pytest

from .conftest import OVPARTS, Machine, contents, pushed


@pytest.fixture
def machine(endpoint, tmp_path):
    return Machine.new(endpoint, tmp_path / "home", token="hf_writer")


def run_all(machine, *commands, endpoints=()):
    """Runs commands, each of which begins with its token; returns exit codes, outputs and error outputs."""
    as_json = [
        {"token": token, "arguments": list(map(str, arguments)), "endpoint": endpoint}
        for (token, *arguments), endpoint in zip_longest(commands, endpoints)
    ]
    return json.loads(machine.run("-m", "tests.utils.hub.commands", stdin=json.dumps(as_json)))


@pytest.fixture
def repositories(hub, model_folder, tmp_path):
    """Three repositories with a model, and for each a folder with another state of it."""
    folders = {}
    for name in ("terminated", "killed", "broken"):
        repository = hub.create("model", f"me/{name}", private=True)
        repository.add_commit("first", {**repository.commit().files, **contents(model_folder)})
        folder = folders[f"me/{name}"] = shutil.copytree(model_folder, tmp_path / name)
        (folder / "model.safetensors").write_bytes(str(folder).encode() * 1000)
    (folder / "image.png").write_bytes(b"another large file" * 1000)
    return folders


def push_and_send(hub, machine, folder, repo_id, number):
    """Sends a signal to a push in the middle of an upload; returns its exit code and error output."""
    hub.upload_began.clear()
    hub.release_uploads.clear()
    hub.stall_uploads = True
    with machine.start(*OVPARTS, "push", str(folder), repo_id) as process:
        while not hub.upload_began.wait(1):
            assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        hub.release_uploads.set()
        _, error = process.communicate()
    hub.stall_uploads = False
    return process.returncode, error


def test_an_interrupted_push_leaves_the_main_revision_as_it_was(hub, machine, model_folder, repositories):
    code, error = push_and_send(hub, machine, repositories["me/terminated"], "me/terminated", signal.SIGINT)
    assert code == 130
    assert error.splitlines()[-1].startswith("Interrupted; me/terminated has all of this push or nothing of it.")
    code, _ = push_and_send(hub, machine, repositories["me/killed"], "me/killed", signal.SIGKILL)
    assert code == -signal.SIGKILL

    hub.drop_uploads_after = 1  # of the two that "broken" has
    [(code, out, error)] = run_all(machine, ("hf_writer", "push", repositories["me/broken"], "me/broken"))
    hub.drop_uploads_after = None
    assert (code, out, len(hub.uploads)) == (1, "", 1)
    assert error.splitlines()[-1].startswith("ovparts: The Hub at http://127.0.0.1:")
    assert "Traceback" not in error

    for repo_id in repositories:
        assert pushed(hub, "model", repo_id) == contents(model_folder)
    again = [("hf_writer", "push", folder, repo_id) for repo_id, folder in repositories.items()]
    assert [(code, error) for code, _, error in run_all(machine, *again)] == [(0, "")] * 3
    for repo_id, folder in repositories.items():
        assert pushed(hub, "model", repo_id) == contents(folder)
    assert len(hub.uploads) == len(set(hub.uploads)) == 4


def test_the_same_command_pushes_what_was_prepared(hub, machine, pascal_archive, tmp_path):
    out = tmp_path / "pascal"
    prepare = ["hf_writer", "prepare", "pascal-part-116", pascal_archive, out, "--push-to-hub", "me/again"]
    hub.drop_uploads_after = len(hub.uploads)
    [(code, _, error)] = run_all(machine, prepare)
    hub.drop_uploads_after = None
    assert (code, error.splitlines()[-1].endswith(f"`ovparts push {out} me/again` tries again.")) == (1, True), error
    shards = contents(out)
    other = ["hf_writer", "prepare", "toy-world", out, "--push-to-hub", "me/again"]
    [(code, printed, error), (refused, _, why)] = run_all(machine, prepare, other)
    assert (code, printed.splitlines()[0]) == (0, str(out)), error
    assert f"{out} is prepared already and pushed as it is" in error
    assert (refused, "is a prepared dataset already" in why) == (1, True)
    assert pushed(hub, "dataset", "me/again") == shards


def test_one_line_for_what_cannot_begin(hub, machine, model_folder, pascal_folder, pascal_archive, tmp_path):
    """Exit code 1, no output, and one line that says what is expected; in the last cases, no Hub is there."""
    hub.create("dataset", "me/open", private=False)
    hub.create("model", "me/bert", private=False).add_commit("bert", {"config.json": b'{"model_type": "bert"}'})
    push, out = ["push", str(model_folder), "me/new"], tmp_path / "pascal"
    prepare = ["prepare", "pascal-part-116", str(pascal_archive), str(out), "--push-to-hub"]
    evaluate = ["evaluate", "--task", "zero_shot", "--out", str(tmp_path / "evaluation")]
    cases = [
        ("hf_wrong", push, "does not accept your token"),
        ("hf_wrong", [*prepare, "me/new"], "does not accept your token"),
        ("hf_wrong", [*evaluate, "toy", "me/open"], "does not accept your token"),
        (None, [*prepare, "me/new"], "not logged in"),
        ("hf_reader", [*prepare, "me/new"], "may only read"),
        ("hf_writer", [*prepare, "other/new"], "your token is for"),
        ("hf_writer", [*prepare, "new"], "owner/name"),
        ("hf_writer", [*prepare, "me/new", "--public"], "--i-have-the-rights"),
        ("hf_writer", [*prepare, "me/open"], "--i-have-the-rights"),
        ("hf_writer", [*prepare[:-1], "--public"], "--push-to-hub"),
        ("hf_writer", [*evaluate, "toy", "me/missing"], "no dataset repository 'me/missing'"),
        ("hf_writer", ["push", str(tmp_path), "me/new"], "neither a model"),
    ]
    offline = [
        ("hf_writer", push, "cannot be reached"),
        (None, [*evaluate, "toy", "me/data"], "cannot be reached"),
        (None, [*evaluate, "me/model", str(pascal_folder)], "cannot be reached"),
    ]
    endpoints = [None] * len(cases) + ["http://127.0.0.1:9"] * len(offline)
    cases += offline
    results = run_all(machine, *((token, *arguments) for token, arguments, _ in cases), endpoints=endpoints)
    for (_, arguments, message), (code, output, error) in zip(cases, results, strict=True):
        assert (code, output) == (1, ""), arguments
        assert error.startswith("ovparts: ") and error.count("\n") == 1 and message in error, error
    assert not out.exists() and not list(tmp_path.glob(".pascal*"))
    assert len(hub.find("dataset", "me/open").commits) == 1
