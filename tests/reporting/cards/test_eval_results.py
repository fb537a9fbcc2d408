"""Read back by the Hub's own parser."""

import math
import shutil

import pytest
import yaml
from huggingface_hub import EvalResultEntry, parse_eval_result_entries

from ovparts_hf.data.benchmark_file import render_benchmark_file
from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.loading import TOY_FOLDER
from ovparts_hf.reporting.cards import write_folder_card
from ovparts_hf.reporting.cards.eval_results import eval_result_entries, write_eval_results
from ovparts_hf.taxonomy import TAXONOMIES

from .test_folder import measured

CREATED = "2026-01-02T03:04:05+00:00"
ADE = {"name": "ade20k-part-234", "fingerprint": "cd", "num_images": 7, "num_records": 9}


def result(**changes):
    return measured(created=CREATED, versions={"ovparts_hf": "0.2"}, **changes)


def read(path):
    return parse_eval_result_entries(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_an_entry_for_each_task_setting_and_definition(tmp_path):
    results = [
        result(),
        result(setting="pred_obj"),
        result(task="supervised", metrics={"mIoU": 40.0}),
        result(dataset=ADE),
    ]
    paths = write_eval_results(tmp_path, results)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        ".eval_results/pascal-part-116.yaml",
        ".eval_results/ade20k-part-234.yaml",
    ]
    entries = read(paths[0])
    assert {entry.task_id: entry.value for entry in entries} == {
        "zero_shot-oracle_obj-ov_parts": 28.0,
        "zero_shot-oracle_obj-strict": 27.5,
        "zero_shot-pred_obj-ov_parts": 28.0,
        "zero_shot-pred_obj-strict": 27.5,
        "supervised-oracle_obj-ov_parts": 40.0,
    }
    assert entries[0] == EvalResultEntry(
        dataset_id="ovparts/pascal-part-116",
        task_id="zero_shot-oracle_obj-ov_parts",
        value=28.0,
        date=CREATED,
        notes="hIoU in percent, 20 images, ovparts_hf 0.2",
    )
    assert {entry.dataset_id for entry in read(paths[1])} == {"ovparts/ade20k-part-234"}


@pytest.mark.parametrize("flavour", ["partclipseg", "strict"])
def test_datasets_know_every_task_that_results_name(flavour):
    """Without unseen parts there is no harmonic mean, so no result of the zero-shot task."""
    is_divided = {name: 0 < len(each.seen_part_ids) < len(each.part_classes) for name, each in TAXONOMIES.items()}
    assert set(is_divided.values()) == {True, False}
    results = [
        result(
            task=task,
            setting=setting,
            flavour=flavour,
            dataset={"name": name},
            metrics={"mIoU": 1.0, "hIoU": 2.0 if is_divided[name] else math.nan},
        )
        for name in TAXONOMIES
        for task in ("zero_shot", "few_shot", "supervised", "cross_dataset")
        for setting in ("oracle_obj", "pred_obj", "pred_all")
    ]
    found = eval_result_entries(results)
    assert set(found) == set(TAXONOMIES)
    for name, entries in found.items():
        known = {task["id"] for task in yaml.safe_load(render_benchmark_file(TAXONOMIES[name], name, True))["tasks"]}
        ids = {entry.task_id for entry in entries}
        assert (len(entries), ids - known) == (12 if is_divided[name] else 9, set()), name


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": {"name": "pascal-part-116", "num_images": 1, "total_images": 20}},
        {"config": {"decode": "rankseg"}},
        {"dataset": {"name": "my-world"}},
        {"metrics": {"hIoU": math.nan}},
    ],
)
def test_parts_and_what_is_not_the_benchmark_have_no_entry(changes, tmp_path):
    assert eval_result_entries([result(**changes)]) == {}
    assert write_eval_results(tmp_path, [result(**changes)]) == [] and not list(tmp_path.iterdir())


def test_of_two_results_the_newer_counts():
    old, new = result(metrics={"hIoU": 1.0}), result(metrics={"hIoU": 2.0})
    new.created = "2026-02-02T03:04:05+00:00"
    for results in ([old, new], [new, old]):
        [[entry]] = eval_result_entries(results).values()
        assert entry.value == 2.0


@pytest.mark.parametrize("text", ["- dataset: {id: me/x, task_id: y}\n  value: 1\n", "{", "a: 1", "[3]"])
def test_what_others_wrote_is_left_alone(text, tmp_path):
    shutil.copy(TOY_FOLDER / "clipseg" / "config.json", tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"model_type": "clipseg"', '"model_type": "ovparts_clipseg"'))
    path = tmp_path / ".eval_results" / "pascal-part-116.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="results that this library did not write"):
        write_folder_card(tmp_path, [result()])
    assert path.read_text() == text and not (tmp_path / "README.md").exists()
    write_folder_card(tmp_path, [result()], overwrite=True)
    assert len(read(path)) == 2
    write_folder_card(tmp_path, [result()])  # its own, and unchanged
