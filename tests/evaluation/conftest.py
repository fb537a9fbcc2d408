"""Small models with their processors, and the datasets that they are evaluated on."""

from __future__ import annotations

import pytest
import torch

from ovparts_hf.data.part_dataset import PartDataset
from ovparts_hf.evaluation.predictor import Prediction, Predictor
from ovparts_hf.models.catseg.image_processing_catseg import CATSegImageProcessor
from ovparts_hf.models.catseg.modeling_catseg import CATSegForPartSegmentation
from ovparts_hf.models.clipseg.convert_clipseg import convert_clipseg
from ovparts_hf.models.clipseg.modeling_clipseg import CLIPSegForPartSegmentation
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.models.maskformer.modeling_maskformer import MaskFormerForPartSegmentation
from ovparts_hf.models.partclipseg.convert_partclipseg import convert_partclipseg
from ovparts_hf.models.partclipseg.modeling_partclipseg import PartCLIPSegForPartSegmentation
from ovparts_hf.models.partclipseg.processing_partclipseg import PartCLIPSegProcessor
from ovparts_hf.models.processing import ClosedVocabularyProcessor, PartSegmentationProcessor
from ovparts_hf.taxonomy.tasks import get_task

from ..models.catseg import goldens as catseg_goldens
from ..models.clipseg.goldens import FOLDER, golden_config, golden_processor
from ..models.maskformer.test_modeling_maskformer import golden_config as maskformer_config
from ..models.partclipseg import goldens as partclipseg_goldens


@pytest.fixture(scope="session")
def model() -> CLIPSegForPartSegmentation:
    return convert_clipseg(FOLDER / "checkpoint.pth", golden_config())[0].eval()


@pytest.fixture(scope="session")
def processor() -> PartSegmentationProcessor:
    return golden_processor()


@pytest.fixture(params=["pascal", "ade"])
def dataset(request: pytest.FixtureRequest) -> PartDataset:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def catseg() -> tuple[CATSegForPartSegmentation, PartSegmentationProcessor]:
    processor = PartSegmentationProcessor(
        CATSegImageProcessor(size={"height": 128, "width": 128}),
        golden_processor().tokenizer,
        templates=["{}", "a {}", "one {}"],
        scores="probabilities",
    )
    config = catseg_goldens.golden_config()
    config.text_config.vocab_size = len(processor.tokenizer)
    config.text_config.max_position_embeddings = 77
    config.text_config.eos_token_id = processor.tokenizer.eos_token_id
    torch.manual_seed(0)
    return CATSegForPartSegmentation(config).eval(), processor


@pytest.fixture(scope="session")
def partclipseg() -> tuple[PartCLIPSegForPartSegmentation, PartCLIPSegProcessor]:
    checkpoint, config = partclipseg_goldens.TINY.checkpoint, partclipseg_goldens.golden_config()
    return convert_partclipseg(checkpoint, config)[0].eval(), partclipseg_goldens.golden_processor()


@pytest.fixture(scope="session")
def maskformer(pascal: PartDataset) -> tuple[MaskFormerForPartSegmentation, ClosedVocabularyProcessor]:
    """Has Pascal-Part-116's vocabulary, takes images of any size, and has no score of "none"."""
    names = pascal.taxonomy.part_classes
    torch.manual_seed(0)
    config = maskformer_config(num_labels=len(names))
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    size = {"shortest_edge": 64, "longest_edge": 96}
    return MaskFormerForPartSegmentation(config).eval(), ClosedVocabularyProcessor(
        MaskClassificationImageProcessor(size=size)
    )


def zero_shot_records(dataset: PartDataset, images: int | None = None) -> list:
    """The records of the first so many images."""
    records = dataset.evaluation_records(get_task("zero_shot"))
    chosen = list(dict.fromkeys((record.split, record.row) for record in records))[:images]
    return [record for record in records if (record.split, record.row) in chosen]


def predict(model, processor, dataset, records, **options) -> list[Prediction]:
    """Without the benchmark's substring rule, unless `compat` is given."""
    return list(Predictor(model, processor, dataset, **{"compat": None, **options}).predict(records))
