"""What a run would need, found out without its data and its weights: with random ones of the same size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer, CLIPModel, PreTrainedConfig

from ..data.part_dataset import PartDataset
from ..errors import ConfigurationError
from ..models.auto import FAMILIES, config_class, family_of, model_class
from ..models.configuration_utils import KNOWN_CLIP
from ..models.loading import TOY_FOLDER, ModelSource
from ..taxonomy import TAXONOMIES, TOY_WORLD, PartTaxonomy
from ..taxonomy.tasks import get_task
from ..utils.files import user_path
from ..utils.precision import new_accelerator, usable_precision
from .arguments import LoopArguments, PromptTuningArguments, TrainArguments
from .estimate import Estimate, estimate_step
from .optim import build_optimizer
from .prompt_tuning.features import StockCLIP
from .prompt_tuning.loop import PromptTuningSetup
from .random_images import RandomImages, usual_size
from .setup import Setup, TrainingSetup, choose_trained, model_fields
from .threads import cpu_threads

_KNOWN_DATA = {**TAXONOMIES, TOY_WORLD.name: TOY_WORLD, "toy": TOY_WORLD}
_SHORT_NAME = "truck's wheel"  # a class that the toy tokenizer knows


def estimate_run(arguments: LoopArguments) -> Estimate:
    """Measures what a run would take, with random images and weights: memory and time on this machine.

    Nothing is written, and of the model only configuration and tokenizer are downloaded, if they are not here.

    Args:
        arguments: The settings of the run, of a model or of prompts.

    Returns:
        The estimate for each process of this launch.

    Raises:
        OVPartsError: Dataset or model are unknown here, or some argument cannot be used.
    """
    accelerator = new_accelerator(usable_precision(arguments.mixed_precision))
    with cpu_threads(arguments.threads):
        setup, class_inputs = stand_in(arguments)
        build_optimizer(setup.model, arguments)  # which refuses what a run would refuse
        examples = partial(setup.random_examples, arguments)
        return estimate_step(setup.model, arguments, examples, class_inputs, accelerator)


def stand_in(arguments: LoopArguments) -> tuple[Setup, dict[str, torch.Tensor]]:
    """What a run is made of, with random images and weights, and its vocabulary as arguments of `forward`."""
    taxonomy = _find_taxonomy(arguments.data)
    make = _stand_in_model if isinstance(arguments, TrainArguments) else _stand_in_prompts
    return make(arguments, taxonomy)


def _find_taxonomy(data: str) -> PartTaxonomy:
    """That of a prepared dataset, or, if it is not there, of a known one of this name."""
    path = user_path(data)
    if not path.exists() and path.name in _KNOWN_DATA:
        return _KNOWN_DATA[path.name]
    return PartDataset.load(data).taxonomy


def _stand_in_model(arguments: TrainArguments, taxonomy: PartTaxonomy) -> tuple[Setup, dict[str, torch.Tensor]]:
    source, known = ModelSource(arguments.model, arguments.family, for_training=True), False
    try:
        source.config()
    except ConfigurationError:
        make = _known_pretrained().get(str(arguments.model))
        if make is None:
            raise
        known, vars(source)["stored_config"] = True, make()
    config = source.config(**model_fields(source, arguments, taxonomy))
    target = get_task(arguments.task).train_taxonomy(taxonomy).part_classes
    names = [_SHORT_NAME] if known else list(target[:1])
    made_up = not config.has_closed_vocabulary and config.class_names is None
    if made_up:  # features, since to encode a name in all templates takes long
        config.set_class_names(names)
    kind = model_class(family_of(config))
    model = kind(config)
    processor = _known_processor(kind, config) if known else source.processor(config)
    choose_trained(model, arguments)

    images = RandomImages(taxonomy, usual_size(arguments.short_edges, arguments.max_size))
    setup = TrainingSetup(model, processor, images, images)
    if config.has_closed_vocabulary:
        return setup, model.encode_vocabulary(processor, target)
    if made_up:
        nn.init.normal_(model.class_features)
    is_trained = model.text_encoder_is_trainable(processor, names)
    row = processor(classes=names) if is_trained else model.encode_vocabulary(processor, names)
    if made_up:
        model.forget_vocabulary()
    return setup, _repeated(row, len(target))


def _known_pretrained() -> dict[str, Callable[[], PreTrainedConfig]]:
    """The configurations of what the recipes of all families start from, for machines that do not have them."""
    return {name: make for family in FAMILIES for name, make in config_class(family).known_pretrained.items()}


def _known_processor(kind: type, config: PreTrainedConfig) -> Any:
    """A processor that prepares images as that of the known model, and names by the toy's tokenizer."""
    folder, side = TOY_FOLDER / config.base_model_type, type(config).known_image_size
    processor = kind.default_processor(str(folder if folder.is_dir() else TOY_FOLDER / "clip"), config, {})
    if side is not None:
        processor.image_processor.size = {"height": side, "width": side}
    return processor


def _stand_in_prompts(
    arguments: PromptTuningArguments, taxonomy: PartTaxonomy
) -> tuple[Setup, dict[str, torch.Tensor]]:
    make, location = KNOWN_CLIP.get(arguments.model), str(TOY_FOLDER / "clip")
    if make is not None:
        model = CLIPModel(make())
    else:
        location = location if arguments.model == "toy" else str(Path(arguments.model))
        model = CLIPModel(AutoConfig.from_pretrained(location, trust_remote_code=False))
    clip = StockCLIP(model.eval(), AutoTokenizer.from_pretrained(location, trust_remote_code=False))
    clip.check_region_size(arguments.region_size)
    setup = PromptTuningSetup.of(clip, arguments, RandomImages(taxonomy, (64, 64)))
    target = get_task(arguments.task).train_taxonomy(taxonomy).part_classes
    return setup, _repeated(setup.processor(classes=[_SHORT_NAME]), len(target))


def _repeated(row: Any, count: int) -> dict[str, torch.Tensor]:
    """The arguments of `forward` about one class, for as many."""
    return {name: tensor.repeat_interleave(count, 0) for name, tensor in dict(row).items()}
