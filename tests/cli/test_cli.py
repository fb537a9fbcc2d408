"""The command line, end to end on the fixtures."""

import json

import pytest
import torch
from transformers import BatchEncoding, CLIPConfig, CLIPSegConfig, CLIPSegForImageSegmentation, ResNetConfig

from ovparts_hf.cli import main
from ovparts_hf.evaluation.results import BenchmarkResult
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.loading import load_model
from ovparts_hf.models.partcatseg.processing_partcatseg import PartCATSegProcessor
from ovparts_hf.models.processing import PartSegmentationProcessor
from ovparts_hf.taxonomy import PASCAL_PART_116, TAXONOMIES, PartTaxonomy

from ..models.catseg import goldens as catseg_goldens
from ..models.clipseg.goldens import FACTS, FOLDER, golden_processor
from ..models.maskformer.goldens import Golden
from ..models.partcatseg import goldens as partcatseg_goldens
from ..models.zsseg.goldens import PLAIN, PLUS
from ..models.zsseg.goldens import golden_config as zsseg_golden_config
from ..models.zsseg.test_convert_zsseg import prompt_checkpoint

PASCAL = ["--vocabulary", "pascal-part-116"]
RELEASES = {"pascal-part-116": "pascal_archive", "ade20k-part-234": "ade_archive"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A folder as stock CLIPSeg has it, with tiny random weights."""
    folder = tmp_path_factory.mktemp("stock")
    CLIPSegForImageSegmentation(CLIPSegConfig(**FACTS["model_config"])).save_pretrained(folder)
    golden_processor().tokenizer.save_pretrained(folder)
    settings = {"feature_extractor_type": "ViTFeatureExtractor", "size": 80, "do_resize": True, "do_normalize": True}
    settings |= {key: FACTS["processor"][key] for key in ("image_mean", "image_std")}
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "resample": 2}))
    return folder


@pytest.mark.parametrize("name", RELEASES)
def test_prepare_check_train_evaluate(name, stock, request, tmp_path, capsys):
    archive = request.getfixturevalue(RELEASES[name])
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "evaluation"
    assert main(["check", str(archive), "--json"]) == 1  # a part of the release
    assert json.loads(capsys.readouterr().out)["dataset"] == name
    assert main(["prepare", name, str(archive), str(data)]) == 0
    assert main(["check", str(data)]) == 0
    recipe = ["--recipe", f"examples/recipes/{name}/zero_shot/clipseg.yaml"]
    small = ["steps=1", "batch_size=2", "--short_edges=[80]", "--workers", "0", "eval_every=1"]
    assert main(["train", *recipe, f"model={stock}", f"data={data}", f"output={run}", *small]) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("eval_hIoU" in line for line in log)
    capsys.readouterr()
    assert main(["evaluate", str(run / "last"), str(data), "--out", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    result = BenchmarkResult.from_json(out / "result.json")
    assert result.table() in printed
    assert result.dataset["name"] == name
    assert (out / "classes.csv").read_text().count("\n") == len(result.classes) + 1
    page = (out / "report" / "index.html").read_text()
    assert "Unseen objects" in page
    assert "ovparts evaluate" in page


def test_a_stock_model_is_scored_as_it_is_or_with_a_random_adapter(stock, pascal_folder, tmp_path, capsys):
    results = {}
    again = ["--untrained-adapter", "--overwrite"]
    for option in ([], ["--untrained-adapter"], again):
        out = tmp_path / f"out{len(option)}"
        arguments = [str(stock), str(pascal_folder), "--max-images", "1", "--device", "cpu", "--out", str(out)]
        assert main(["evaluate", *arguments, *option]) == 0
        results[len(option)] = BenchmarkResult.from_json(out / "result.json")
    facts = {"threshold_of_none": 0.3, "adapter_ratio": 0.0}
    assert facts.items() <= results[0].config.items() and not facts.keys() & results[1].config.keys()
    texts = [repr(results[number].metrics) for number in (0, 1, 2)]  # in which nan equals nan
    assert texts[0] != texts[1] == texts[2]
    objects = ["--setting", "pred_obj", "--objects", str(stock), "--max-images", "1", "--device", "cpu"]
    assert main(["evaluate", "toy-trained", str(pascal_folder), "--task", "cross_dataset", *objects]) == 0
    capsys.readouterr()
    assert main(["evaluate", "toy-trained", str(pascal_folder), "--untrained-adapter"]) == 1
    assert "is no stock CLIPSeg; leave out --untrained-adapter" in capsys.readouterr().err


def few_parts(*parts):
    """A small vocabulary."""
    names = [f"dog's {part}" for part in parts]
    return PartTaxonomy.from_dict(
        {"name": "few", "object_classes": ["dog"], "part_classes": names, "seen_objects": ["dog"]}
    )


def test_convert(stock, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["convert", "clipseg", str(FOLDER / "checkpoint.pth"), str(out), "--base", str(stock)]) == 0
    assert "3 unused" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "processor_config.json"}


def test_convert_catseg_with_a_vocabulary(tmp_path, capsys, monkeypatch):
    base = tmp_path / "base"
    catseg_goldens.golden_config().save_pretrained(base)
    tokenizer = golden_processor().tokenizer
    images = CATSegImageProcessor(size={"height": 128, "width": 128})
    PartSegmentationProcessor(images, tokenizer, ["{}", "a {}", "one {}"], scores="probabilities").save_pretrained(base)
    monkeypatch.setitem(TAXONOMIES, "few", few_parts("ear", "leg"))
    monkeypatch.setattr(
        PartSegmentationProcessor, "_tokenize", lambda *_, **__: {"input_ids": torch.full((2, 3, 5), 199)}
    )
    out = tmp_path / "model"
    checkpoint = str(catseg_goldens.FOLDER / "checkpoint.pth")
    assert main(["convert", "catseg", checkpoint, str(out), "--base", str(base), "--vocabulary", "few"]) == 0
    assert "404 keys: 402 used, 2 derivable, 0 unused" in capsys.readouterr().out
    model, processor = load_model(out)
    assert list(model.stored_class_features) == ["dog's ear", "dog's leg"]
    assert processor.scores == "probabilities"
    assert main(["convert", "clipseg", checkpoint, str(out), "--base", str(base)]) == 1


def test_convert_partcatseg_with_a_vocabulary(tmp_path, capsys, monkeypatch):
    base, out = tmp_path / "base", tmp_path / "model"
    partcatseg_goldens.golden_config().save_pretrained(base)
    sides = {"size": {"height": 64, "width": 64}, "backbone_size": {"height": 126, "width": 126}}
    tokenizer = golden_processor().tokenizer
    PartCATSegProcessor(CATSegImageProcessor(**sides), tokenizer, ["{}", "a {}", "one {}"]).save_pretrained(base)
    monkeypatch.setitem(TAXONOMIES, "few", few_parts("ear", "leg"))
    ids = torch.arange(1, 91).view(2, 9, 5)  # of the classes, "ear", "dog" and "leg", and two that fill up
    monkeypatch.setattr(PartCATSegProcessor, "_pack", lambda *_, **__: BatchEncoding({"input_ids": ids.tolist()}))
    arguments = ["convert", "partcatseg", str(partcatseg_goldens.TINY.checkpoint), str(out), "--base", str(base)]
    assert main([*arguments, "--vocabulary", "few"]) == 0
    printed = capsys.readouterr().out
    assert "412 keys: 309 used, 4 derivable, 99 unused" in printed
    assert "layers_object.0.attention.norm1.bias: the original never runs these layers" in printed
    model, processor = load_model(out)
    assert model.vocabulary == ["dog's ear", "dog's leg"]
    assert set(model.stored_class_features) == {"dog's ear", "dog's leg", "ear", "leg", "dog"}
    assert type(processor) is PartCATSegProcessor and processor.image_processor.backbone_size == sides["backbone_size"]


@pytest.fixture(params=[PLUS, PLAIN], ids=["plus", "plain"])
def zsseg(request, tmp_path):
    """A checkpoint, and the arguments that convert it from a folder that holds what stock CLIP does."""
    golden, base = request.param, tmp_path / "clip"
    config = zsseg_golden_config(golden)
    sizes = {name: getattr(config, name).to_dict() for name in ("text_config", "vision_config")}
    CLIPConfig(**sizes, projection_dim=config.projection_dim).save_pretrained(base)
    golden_processor().tokenizer.save_pretrained(base)
    settings = golden.mask_classification_sizes()
    settings |= {"class_hidden_size": config.class_hidden_size, "ensemble_weight": config.ensemble_weight}
    if golden is PLAIN:
        settings |= {"object_mask_prompt": False, "prompt_lengths": None, "region_size": config.region_size}
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    arguments = ["convert", "zsseg", str(golden.checkpoint), str(tmp_path / "out"), "--base", str(base), "--set"]
    return golden, [*arguments, *overrides]


def test_convert_zsseg(zsseg, tmp_path, capsys):
    golden, arguments = zsseg
    assert main([*arguments, "--trained-on", "pascal-part-116", "--backbone", "resnet-50"]) == 0
    printed = capsys.readouterr().out
    assert f"{len(golden.tensors())} keys: " in printed and "derivable  criterion.empty_weight" in printed
    model, processor = load_model(tmp_path / "out")
    assert model.config.seen_class_names == list(PASCAL_PART_116.seen().part_classes)
    assert model.config.backbone_config.hidden_sizes == [16, 32, 64, 128]
    assert model.requires_object_masks == (golden is PLUS)
    assert processor.scores == "plain"
    assert model.config.crop_ratio == (1.2 if golden is PLUS else 1.0)
    assert processor.image_processor.size["longest_edge"] == (768 if golden is PLUS else 2048)
    assert processor.prompt_lengths == ([4, 4, 0] if golden is PLUS else None)
    assert processor.templates == (None if golden is PLUS else ["a sculpture of a {}."])
    projection = golden.tensors()["clip_adapter.clip_model.visual.proj"].float()
    assert torch.equal(model.clip.visual_projection.weight, projection.T)


@pytest.mark.parametrize("zsseg", [PLUS], indirect=True, ids=["plus"])
def test_convert_zsseg_with_its_own_prompts(zsseg, tmp_path):
    other = torch.randn(4, 32)
    prompts = prompt_checkpoint(tmp_path, **{"prompt_learner.prefix_prompt": other})
    assert main([*zsseg[1], "--prompts", str(prompts)]) == 0
    model, _ = load_model(tmp_path / "out")
    assert torch.equal(model.prompts.prefix_prompt, other)
    assert model.config.seen_class_names is None


@pytest.mark.parametrize("zsseg", [PLUS], indirect=True, ids=["plus"])
def test_another_backbone_does_not_fit(zsseg, tmp_path, capsys):
    assert main([*zsseg[1], "--backbone", "resnet-101c"]) == 1
    error = capsys.readouterr().err
    assert "The checkpoint does not fit the model" in error and len(error.splitlines()) <= 12
    assert "pixel_level_module.backbone.encoder.stages" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("with_base", [False, True])
def test_convert_maskformer(with_base, tmp_path, capsys, monkeypatch):
    golden = Golden("maskformer")
    few = few_parts(*range(golden.facts["num_classes"]))
    monkeypatch.setitem(TAXONOMIES, "few", few)
    sizes, base = golden.mask_classification_sizes(), []
    if with_base:
        ResNetConfig(**sizes.pop("backbone_config")).save_pretrained(tmp_path / "resnet")
        base = ["--base", str(tmp_path / "resnet")]
    arguments = ["convert", "maskformer", str(golden.checkpoint), str(tmp_path / "out"), *base]
    arguments += ["--vocabulary", "few"]
    assert main([*arguments, "--set", *(f"{key}={json.dumps(value)}" for key, value in sizes.items())]) == 0
    assert f"{len(golden.tensors())} keys: " in capsys.readouterr().out
    model, _ = load_model(tmp_path / "out")
    assert model.config.id2label == dict(enumerate(few.part_classes))
    assert model.find_classes(few.part_classes[::-1]).tolist() == list(range(len(few.part_classes)))[::-1]


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("maskformer", [], "give exactly one with --vocabulary"),
        ("maskformer", [*PASCAL, "ade20k-part-234"], "give exactly one with --vocabulary"),
        (
            "maskformer",
            [*PASCAL, "--prompts", "p.pth"],
            "--prompts is for zsseg",
        ),
        (
            "maskformer",
            [*PASCAL, "--trained-on", "pascal-part-116"],
            "--trained-on is for",
        ),
        ("maskformer", [*PASCAL, "--base", "STOCK"], "is a 'clipseg' model"),
        ("maskformer", [*PASCAL, "--set", "colour=red"], "has no field 'colour'"),
        ("maskformer", [*PASCAL, "--set", "hidden_size"], "Cannot read the override"),
        ("maskformer", [*PASCAL, "--set", "hidden_size=many"], "hidden_size"),
        ("maskformer", [*PASCAL, "--set", "hidden_size=30"], "must be a multiple of 4"),
        (
            "maskformer",
            [*PASCAL, "--set", "backbone_config={last_dilations: [2]}"],
            "last_dilations",
        ),
        ("maskformer", [*PASCAL, "--set", "backbone_config=r50"], "backbone_config"),
        ("maskformer", [*PASCAL, "--set", "backbone_config={depth: 3}"], "no field 'depth'"),
        ("maskformer", [*PASCAL, "--set", "backbone_config={depths: [3]}"], "stage_names"),
        ("zsseg", [], "is built on a pretrained one"),
        ("zsseg", ["--base", "STOCK", *PASCAL], "takes ['clip'"),
        ("clipseg", ["--base", "STOCK", "--backbone", "resnet-50"], "--backbone is for zsseg and maskformer"),
        ("clipseg", ["--base", "STOCK", "--text-precision", "float16"], "no field 'text_precision'"),
    ],
)
def test_conversions_that_make_no_sense_are_refused(family, arguments, message, stock, tmp_path, capsys):
    arguments = [str(stock) if word == "STOCK" else word for word in arguments]
    assert main(["convert", family, "nowhere.pth", str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_conversion_leaves_nothing(stock, tmp_path, capsys):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no checkpoint")
    assert main(["convert", "clipseg", str(bad), str(tmp_path / "out"), "--base", str(stock)]) == 1
    assert "bad.pth cannot be read" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "pascal-part-116", "OUT"], "needs its SOURCE"),
        (["prepare", "toy-world", "SOURCE", "OUT"], "is drawn, not read"),
        (["prepare", "toy-garden", "SOURCE", "OUT"], "is drawn, not read"),
        (["prepare", "pascal-part-116", "nowhere.tar.gz", "OUT"], "nowhere.tar.gz does not exist"),
        (["evaluate", "MODEL", "nowhere"], "No model configuration at 'MODEL'"),
        (["evaluate", "toy", "nowhere"], "neither a folder nor a dataset repository"),
        (["train", "steps=many"], "Training needs"),
        (["train", "--recipe", "nowhere.yaml"], "There is no recipe nowhere.yaml: give a YAML file, or a name"),
        (["train", "data=x", "output=y", "model=z", "learning=1"], r"Unknown training arguments"),
        (["convert", "clipseg", "x.pth", "OUT", "--base", "nowhere"], "No model configuration at 'nowhere'"),
    ],
)
def test_errors_are_one_clear_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_check_fails_where_there_are_problems(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().out
