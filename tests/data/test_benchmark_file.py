import pytest
import yaml

from ovparts_hf.data.benchmark_file import render_benchmark_file, task_id, write_benchmark_file
from ovparts_hf.errors import DatasetError
from ovparts_hf.metrics.flavours import FLAVOURS
from ovparts_hf.taxonomy import PASCAL_PART_116, PartTaxonomy
from ovparts_hf.taxonomy.tasks import TASKS, Setting

NO_UNSEEN = PartTaxonomy.from_dict({"object_classes": ["cat"], "part_classes": ["cat's ear"], "seen_objects": ["cat"]})


def task_ids(text):
    return [task["id"] for task in yaml.safe_load(text)["tasks"]]


def test_a_prepared_dataset_is_a_benchmark_of_its_tasks(pascal_folder):
    text = (pascal_folder / "eval.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert list(content) == ["name", "description", "evaluation_framework", "tasks"]
    assert content["name"] == "Pascal-Part-116" and content["evaluation_framework"] == "ovparts_hf"
    assert "116 part classes of 16 objects" in content["description"]
    assert "hIoU for zero_shot, mIoU for few_shot" in content["description"]
    assert all(set(task) == {"id", "config", "split"} for task in content["tasks"])
    assert {(task["config"], task["split"]) for task in content["tasks"]} == {("default", "validation")}
    expected = [
        task_id(task, setting, flavour)
        for task in TASKS
        for setting in Setting
        for flavour in FLAVOURS
        if (setting, flavour) != ("pred_all", "ov_parts")  # which that evaluator does not define
    ]
    assert sorted(task_ids(text)) == sorted(expected) and len(expected) == 44


def test_tasks_without_data_are_left_out():
    ids = task_ids(render_benchmark_file(PASCAL_PART_116, "Pascal", few_shot=False))
    assert {name.split("-")[0] for name in ids} == set(TASKS) - {"few_shot"}
    ids = task_ids(render_benchmark_file(NO_UNSEEN, "Cats", few_shot=True))
    assert {name.split("-")[0] for name in ids} == set(TASKS) - {"zero_shot"}


def test_a_dataset_without_a_title_is_called_by_its_name(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: other\n---\n")
    path = write_benchmark_file(tmp_path, PASCAL_PART_116)
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["name"] == "pascal-part-116"


def test_a_damaged_card_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("no header")
    with pytest.raises(DatasetError, match="does not start with a YAML header"):
        write_benchmark_file(tmp_path, PASCAL_PART_116)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
