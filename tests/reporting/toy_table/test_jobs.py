"""Runs of the table: what is stored of them, and when they count as done."""

import json
from dataclasses import replace

import pytest

from ovparts_hf.reporting.toy_table import jobs
from ovparts_hf.reporting.toy_table.jobs import RECORD, PretrainingJob, RowJob, is_done, read_record
from ovparts_hf.reporting.toy_table.rows import table_plan
from ovparts_hf.reporting.toy_table.side_by_side import LOG


@pytest.fixture
def job(tmp_path):
    return RowJob(table_plan()["rows"]["clipseg-from-clip"], 0, tmp_path, {"steps": 2})


def finish(job):
    job.folder.mkdir(parents=True)
    jobs._write_record(job, 2)


def test_a_job_is_done_only_with_the_same_settings(job):
    assert not is_done(job)
    finish(job)
    assert is_done(job) and is_done(replace(job, overrides={"steps": 2}))
    assert not is_done(replace(job, overrides={"steps": 3}))
    changed = replace(job.row, changes={**job.row.changes, "learning_rate": 1.0})
    assert not is_done(replace(job, row=changed))
    assert not is_done(replace(job, row=replace(job.row, start="recipe")))


def test_a_row_is_trained_anew_if_its_pretraining_changed(job, monkeypatch):
    job = replace(job, row=table_plan()["rows"]["catseg-from-objects"])
    finish(job)
    assert is_done(job)
    longer = replace(table_plan()["pretraining"]["catseg"], changes={"steps": 9, "weight_decay": 0.5})
    monkeypatch.setitem(table_plan()["pretraining"], "catseg", longer)
    assert not is_done(job)


def test_what_was_begun_with_other_settings_is_removed(job):
    jobs._begin(job)
    (job.folder / "run").mkdir()
    (job.folder / "run" / "log.jsonl").write_text("")
    (job.folder / LOG).write_text("said")
    jobs._begin(job)
    assert (job.folder / "run" / "log.jsonl").exists()
    jobs._begin(replace(job, overrides={"steps": 3}))
    assert not (job.folder / "run").exists() and (job.folder / LOG).read_text() == "said"


def test_a_record_holds_no_place(job, tmp_path):
    finish(job)
    record = read_record(job)
    assert record["steps"] == 2 and record["settings"]["model"] == "toy" and "torch" in record["versions"]
    assert str(tmp_path) not in json.dumps(record)


def test_cpu_seconds_of_interrupted_blocks_add_up(tmp_path, monkeypatch):
    times = iter([10, 13, 20, 24, 30, 31])
    monkeypatch.setattr(jobs.os, "times", lambda: (next(times), 0, 0, 0, 99))
    with pytest.raises(KeyboardInterrupt), jobs._counted_cpu(tmp_path, "training"):
        raise KeyboardInterrupt
    with jobs._counted_cpu(tmp_path, "training"):
        pass
    with jobs._counted_cpu(tmp_path, "scoring"):
        pass
    assert jobs._read_cpu(tmp_path) == {"training": 7, "scoring": 1}


def test_whole_objects_are_learned_and_recorded(tmp_path):
    name, pretraining = next(iter(table_plan()["pretraining"].items()))
    job = PretrainingJob(pretraining, tmp_path, {"steps": 1, "batch_size": 1, "warmup_steps": 0})
    job.carry_out()
    assert is_done(job) and (tmp_path / "pretraining" / name / "run" / "last" / "model.safetensors").exists()
    assert read_record(job)["cpu_seconds"]["training"] > 0
    assert json.loads((job.folder / RECORD).read_text())["settings"]["task"] == "supervised"
