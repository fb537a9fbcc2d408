"""What a fresh process runs for `test_families.py`: makes a family in a folder, adds its line, and uses it everywhere.

Argument: a folder to work in.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from textwrap import dedent

FILES = {
    "__init__.py": "",
    "facts.py": """
        from ..family_facts import AuthorsModels, FamilyFacts, Weights

        FACTS = FamilyFacts(
            "Novel",
            paper="Nobody, *Novel*",
            base_title="CLIPSeg",
            convert_options=frozenset({"trained_on"}),
            checkpoint_keys=("novel_model.",),
            weights={"nobody/novel": Weights("weights of nobody", "weights of nobody, for everybody")},
            authors=AuthorsModels(
                "nobody/novel", "MIT", {"pascal-part-116": "novel.pth"}, "ViT", "VA", ("nobody/novel",), "strict", ""
            ),
        )
    """,
    "configuration_novel.py": """
        from ..clipseg.configuration_clipseg import CLIPSegPartConfig
        from ..configuration_utils import map_auto_classes


        class NovelConfig(CLIPSegPartConfig):
            model_type = "ovparts_novel"
            auto_classes = map_auto_classes("NovelConfig", "NovelForPartSegmentation")
    """,
    "modeling_novel.py": """
        from ..clipseg.modeling_clipseg import CLIPSegForPartSegmentation
        from .configuration_novel import NovelConfig


        class NovelForPartSegmentation(CLIPSegForPartSegmentation):
            config_class = NovelConfig
            export_runner = ("novel.runner", "Runner")
    """,
    "runner.py": """
        from ..export.one_stage import OneStage


        class Runner(OneStage):
            pass
    """,
    "convert_novel.py": """
        from ..checkpoints import KeyReport, convert_checkpoint
        from .modeling_novel import NovelForPartSegmentation


        def convert_novel(checkpoint, config):
            return convert_checkpoint(NovelForPartSegmentation, checkpoint, config, account_keys)


        def account_keys(tensors, config):
            report = KeyReport()
            for key, tensor in tensors.items():
                if key.startswith("novel_model."):
                    report.use(key, {key.removeprefix("novel_model."): tensor})
            return report
    """,
}


def main(work: Path) -> None:
    import ovparts_hf.models
    from ovparts_hf.models.auto import FAMILIES

    folder = work / "families" / "novel"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")
    ovparts_hf.models.__path__.append(str(folder.parent))
    FAMILIES["novel"] = "NovelConfig"  # the line

    help_names_it()
    checkpoint = is_converted(work)
    its_checkpoint_is_recognised(checkpoint)
    has_a_card(work / "model")
    is_exported_by_its_own_runner()
    segments(work / "model")


def help_names_it() -> None:
    from ovparts_hf.cli import main as ovparts

    with redirect_stdout(io.StringIO()) as output, suppress(SystemExit):
        ovparts(["convert", "--help"])
    text = " ".join(output.getvalue().split())
    assert "CLIPSeg (clipseg, partclipseg, novel)" in text and "zsseg, novel: the dataset" in text, text
    assert "torch" not in sys.modules


def is_converted(work: Path) -> Path:
    import torch

    from ovparts_hf.cli import main as ovparts
    from ovparts_hf.models.loading import TOY_FOLDER, load_model

    model, _ = load_model("toy", "novel", for_training=True)
    assert type(model).__name__ == "NovelForPartSegmentation"
    checkpoint = work / "novel.pth"
    torch.save({f"novel_model.{name}": tensor for name, tensor in model.state_dict().items()}, checkpoint)
    base = ["--base", str(TOY_FOLDER / "clipseg"), "--trained-on", "toy-world"]
    assert ovparts(["convert", "novel", str(checkpoint), str(work / "model"), *base]) == 0
    return checkpoint


def its_checkpoint_is_recognised(checkpoint: Path) -> None:
    from ovparts_hf.errors import CheckpointError, ConfigurationError
    from ovparts_hf.models.convert import convert
    from ovparts_hf.models.loading import TOY_FOLDER

    for options, error_class, message in (
        ({}, CheckpointError, "This looks like a Novel checkpoint."),
        ({"trained_on": "toy-world"}, ConfigurationError, "--trained-on is for zsseg and novel; a clipseg model has"),
    ):
        try:
            convert("clipseg", checkpoint, checkpoint.with_name("other"), TOY_FOLDER / "clipseg", **options)
        except error_class as error:
            assert message in str(error), error
        else:
            raise AssertionError(message)


def has_a_card(model: Path) -> None:
    from ovparts_hf.reporting.cards import BENCHMARK_MODELS, folder_card, model_card
    from ovparts_hf.reporting.cards.facts import WEIGHTS

    card = folder_card(model, name="me/novel")
    assert "| architecture | Novel (`ovparts_novel`) |" in card and "The architecture: Nobody, *Novel*." in card
    assert WEIGHTS["nobody/novel"].description == "weights of nobody"
    card = model_card(BENCHMARK_MODELS["novel-pascal-part-116-zero-shot"])
    assert "Its authors released a checkpoint, `novel.pth`" in card and "https://github.com/nobody/novel" in card


def is_exported_by_its_own_runner() -> None:
    from ovparts_hf.models.export.loading import exported_class

    names = [kind.__name__ for kind in exported_class("novel").__mro__[:3]]
    assert names == ["ExportedNovelForPartSegmentation", "Runner", "OneStage"], names


def segments(model: Path) -> None:
    from PIL import Image
    from transformers import AutoModelForSemanticSegmentation

    from ovparts_hf import PartSegmenter

    assert type(AutoModelForSemanticSegmentation.from_pretrained(model)).__name__ == "NovelForPartSegmentation"
    result = PartSegmenter.from_pretrained(model)(Image.new("RGB", (40, 30)), {"dog": ["ear", "tail"]})
    assert result.label_map.shape == (30, 40)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
