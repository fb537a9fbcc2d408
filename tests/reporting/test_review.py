"""Training images that are still confused."""

import csv
import json

from PIL import Image

from ovparts_hf import PartDataset, load_model
from ovparts_hf.evaluation.predictor import Predictor
from ovparts_hf.reporting.review import review_training


def test_lists_the_most_confused_first(garden_folder, tmp_path):
    dataset = PartDataset.load(garden_folder)
    rows = review_training(Predictor(*load_model("toy-trained"), dataset), "supervised", tmp_path)
    assert rows and rows == sorted(rows, key=lambda row: -row["confused"])
    assert {row["image_id"] for row in rows} <= set(dataset.splits["train"]["image_id"])
    for row in rows:
        assert row["part"].startswith(row["object"]) and row["part"] != row["taken_for"]
        assert 0 < row["confused"] <= 1 and 0 <= row["IoU"] <= 100
    assert json.loads((tmp_path / "most_confused.json").read_text()) == rows
    with (tmp_path / "most_confused.csv").open(newline="") as file:
        assert [row["image_id"] for row in csv.DictReader(file)] == [row["image_id"] for row in rows]
    with Image.open(tmp_path / "most_confused.png") as sheet:
        assert sheet.height > sheet.width / 3


def test_a_large_dataset_is_sampled(garden_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("ovparts_hf.reporting.review._MOST_RECORDS", 4)
    predictor = Predictor(*load_model("toy-trained"), PartDataset.load(garden_folder))
    assert 1 <= len(review_training(predictor, "supervised", tmp_path)) <= 4


def test_without_confusion_there_is_no_sheet(garden_folder, tmp_path, monkeypatch):
    predictor = Predictor(*load_model("toy-trained"), PartDataset.load(garden_folder))
    monkeypatch.setattr(PartDataset, "training_records", lambda *_: [])
    assert review_training(predictor, "supervised", tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["most_confused.csv", "most_confused.json"]
