import base64
import hashlib
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.evaluation.results import BenchmarkResult, describe_breakdowns, describe_classes
from ovparts_hf.metrics import PartSegmentationMetric
from ovparts_hf.reporting.report import Gallery, GalleryItem, write_report
from ovparts_hf.taxonomy import PartTaxonomy

TAXONOMY = PartTaxonomy.from_dict(
    {
        "object_classes": ["cat", "<b>bus</b>"],
        "part_classes": ["cat's ear", "cat's tail", "<b>bus</b>'s wheel", "<b>bus</b>'s door"],
        "seen_objects": ["cat"],
    }
)
HOSTILE = "<script>alert('&')</script>"


def make_result(prediction, name="tiny", task="zero_shot", seen_ids=(0, 1), **changes):
    metric = PartSegmentationMetric(TAXONOMY.part_classes, seen_ids, TAXONOMY.ignore_index)
    metric.update([prediction], [[0, 0, 1, 2, 2]])
    arguments = {
        "metrics": metric.compute(),
        "classes": describe_classes(TAXONOMY, seen_ids),
        "task": task,
        "setting": "oracle_obj",
        "dataset": {"name": "toy", "fingerprint": "ab12", "num_images": 1, "num_records": 2},
        "model": {"name": name, "type": "ovparts_clipseg"},
        "seed": 0,
        "timings": {"seconds": 12.3456},
        "config": {"classes": [1, 2], "rate": 0.00012345},
        "breakdowns": describe_breakdowns(metric, describe_classes(TAXONOMY, seen_ids)),
    }
    return BenchmarkResult(**{**arguments, **changes})


TRAINED, UNTRAINED = make_result([0, 0, 0, 2, 0]), make_result([1, 0, 0, 3, -1])


class Page(HTMLParser):
    """Text, tags and attributes of a page; fails on unclosed or crossing tags."""

    VOID = {"meta", "img"}

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags, self.texts, self.stack = [], [], []
        self.feed(self.html)
        self.close()
        assert not self.stack
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] != "style":
            self.texts.append(data)


def item(size=(20, 30), **changes):
    truth = np.full(size, 255)
    truth[5:10, 5:10] = 2
    arguments = {"image": Image.new("RGB", size[::-1]), "truth": truth, "prediction": truth - (truth == 2) * 2}
    return GalleryItem(**{**arguments, "caption": "bus", "iou": 12.34, **changes})


def test_page_shows_numbers_of_both_models_commands_and_settings(tmp_path):
    path = tmp_path / "new" / "index.html"
    write_report(path, [TRAINED, UNTRAINED], commands=["ovparts demo --seed 0"], labels=["trained", "untrained"])
    page = Page(path)
    strict = UNTRAINED.metrics["strict"]
    for number in (*(TRAINED.metrics[key] for key in ("hIoU", "mIoU_seen", "mIoU_unseen")), strict["fwIoU"]):
        assert f"{number:.1f}" in page.text
    assert f"untrained: {UNTRAINED.metrics['mIoU_seen']:.1f}" in page.text
    assert "ovparts demo --seed 0" in page.text
    assert "fingerprint ab12" in page.text and "rate 0.00012345" in page.text and "classes 1, 2" in page.text
    assert "seconds 12.35" in page.text
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_requested_and_only_the_pages_own_script_runs(tmp_path):
    write_report(tmp_path / "x.html", [TRAINED], [Gallery("Unseen", TAXONOMY.part_classes, [item()])])
    page = Page(tmp_path / "x.html")
    assert not re.search(r"https?:|url\(|@import", page.html)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe")
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes or attributes["src"].startswith("data:image/jpeg;base64,")
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    (script,) = re.findall(r"<script>(.*?)</script>", page.html, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy and policy.count("script-src") == policy.count("sha256-") == 1


def test_everything_given_is_escaped(tmp_path):
    gallery = Gallery(HOSTILE, TAXONOMY.part_classes, [item(caption=HOSTILE + '" onload="x')], HOSTILE)
    write_report(tmp_path / "x.html", [make_result([0] * 5, name=HOSTILE)], [gallery], [HOSTILE], HOSTILE)
    page = Page(tmp_path / "x.html")
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1 and "b" not in tags
    assert "<b>bus</b>'s wheel" in page.text
    # page title, heading, summary, table, gallery heading and note, caption, classes twice, command, settings
    assert page.text.count(HOSTILE) == 11
    alternatives = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert alternatives[1] == f'Ground truth: {HOSTILE}" onload="x'


def test_bars_are_split_and_marked(tmp_path):
    write_report(tmp_path / "x.html", [TRAINED, UNTRAINED])
    page = Page(tmp_path / "x.html")
    fills = [attributes["style"] for _, attributes in page.tags if attributes.get("class") == "fill"]
    marks = [attributes["style"] for _, attributes in page.tags if attributes.get("class") == "mark"]
    assert fills == ["width:50.00%", "width:0.00%", "width:50.00%"]  # the bus's door occurs nowhere
    assert marks == ["left:33.33%", "left:0.00%", "left:0.00%"]
    assert page.text.index("Seen objects", page.text.index("IoU of each part")) < page.text.rindex("Unseen objects")
    assert "door –" in page.text


def test_gallery_embeds_three_images_of_bounded_size(tmp_path):
    big = item(size=(900, 1200), iou=float("nan"), caption="big bus")
    write_report(tmp_path / "x.html", [TRAINED], [Gallery("Unseen", TAXONOMY.part_classes, [item(), big])])
    page = Page(tmp_path / "x.html")
    sources = [attributes["src"].split(",")[1] for tag, attributes in page.tags if tag == "img"]
    images = [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]
    assert [image.size for image in images] == [(330, 220)] * 3 + [(480, 360)] * 3
    assert page.text.count("IoU 12.3") == 1
    truth, prediction = (np.asarray(image, dtype=int)[75, 75] for image in images[1:3])
    assert np.abs(truth - prediction).max() > 20


def test_a_task_without_unseen_classes_reports_the_plain_mean(tmp_path):
    write_report(tmp_path / "x.html", [make_result([0] * 5, task="few_shot", seen_ids=range(4))])
    page = Page(tmp_path / "x.html")
    assert "All parts" in page.text and "Unseen objects" not in page.text and "never" not in page.text


def test_intervals_confusions_and_sizes_are_shown(tmp_path):
    breakdowns = {**TRAINED.breakdowns, "sizes": {"small": 12.5, "large": float("nan")}}
    result = make_result([1, 0, 0, 2, 0], intervals={"hIoU": (21.04, 43.26)}, breakdowns=breakdowns)
    write_report(tmp_path / "x.html", [result])
    page = Page(tmp_path / "x.html")
    assert "21.0–43.3" in page.text and "95 %" in page.text
    assert "small parts 12.5, large parts –" in page.text
    pair = TRAINED.breakdowns["confusions"][0]
    assert f"{pair['truth']} {pair['prediction']} {pair['pixels']}" in page.text


def test_class_table_has_every_class_and_values_to_sort_by(tmp_path):
    write_report(tmp_path / "x.html", [TRAINED, UNTRAINED], labels=["a", "b"])
    page = Page(tmp_path / "x.html")
    values = [attributes["data-value"] for _, attributes in page.tags if "data-value" in attributes]
    assert len(values) == 4 * 3 and values[:3] == ["50.0000", "33.3333", "50.0000"] and values[-3] == ""


def test_benchmark_results_stand_in_the_papers_tables(tmp_path):
    dataset = {"name": "pascal-part-116", "fingerprint": "ab", "num_images": 1, "num_records": 1}
    results = [
        make_result([0] * 5, dataset=dataset),
        make_result([1, 0, 0, 2, 0], dataset=dataset, setting="pred_obj"),
    ]
    write_report(tmp_path / "x.html", results)
    page = Page(tmp_path / "x.html")
    assert "Zero-shot, pascal-part-116" in page.text and "ade20k-part-234" not in page.text
    assert "pascal-part-116, zero_shot, pred_obj" in page.text  # tells the two rows of results apart
    rows = [attributes.get("class") for tag, attributes in page.tags if tag == "tr"]
    assert rows.count("here") == 1 and rows.count("published") == 9
    assert "CLIPSeg ViT-B/16, VA+L+F+D paper 48.7 27.4 35.0 44.6 27.8 34.2" in page.text


def test_other_flavours_are_named(tmp_path):
    write_report(tmp_path / "x.html", [make_result([0] * 5, flavour="partcatseg")])
    page = Page(tmp_path / "x.html")
    assert "definitions of partcatseg" in page.text and "official" not in page.text.lower()


@pytest.mark.parametrize(
    ("results", "labels", "message"),
    [([], None, "at least one result"), ([TRAINED], ["a", "b"], "2 labels were given for 1 results")],
)
def test_bad_input_writes_nothing(tmp_path, results, labels, message):
    with pytest.raises(ConfigurationError, match=message):
        write_report(tmp_path / "x.html", results, labels=labels)
    assert not list(tmp_path.iterdir())


def test_headlines_name_the_setting_where_results_differ_in_it(tmp_path):
    others = [make_result([0, 0, 0, 2, 0], setting="pred_obj"), make_result([0, 0, 1, 2, 2], setting="pred_all")]
    write_report(tmp_path / "report.html", [TRAINED, *others], labels=["mine"] * 3)
    text = Page(tmp_path / "report.html").text
    headline = text[: text.index("Parts of seen objects were labelled")]
    for setting in ("oracle_obj", "pred_obj", "pred_all"):
        assert headline.count(f"toy, zero_shot, {setting}") == 3
    write_report(tmp_path / "one.html", [TRAINED, UNTRAINED])
    assert "toy, zero_shot" not in Page(tmp_path / "one.html").text


def test_scores_of_other_papers_have_a_table_of_their_own(tmp_path):
    metrics = {**TRAINED.metrics, "extra_scores": {"gIoU": 12.34, "mOSI": math.nan}}
    scored = replace(TRAINED, metrics=metrics, setting="pred_all")
    write_report(tmp_path / "x.html", [UNTRAINED, scored], labels=["a", "b"])
    text = Page(tmp_path / "x.html").text
    assert "Scores of other papers" in text and "model setting gIoU mOSI b" in text and "pred_all 12.3 –" in text
    write_report(tmp_path / "x.html", [UNTRAINED])
    assert "Scores of other papers" not in Page(tmp_path / "x.html").text


def test_what_is_not_official_says_so(tmp_path):
    write_report(tmp_path / "x.html", [replace(TRAINED, config={"decode": "rankseg"})])
    text = Page(tmp_path / "x.html").text
    assert "Not official: decoded by RankSEG." in text and "Official numbers" not in text
    assert "follow the definitions of ov_parts" in text
