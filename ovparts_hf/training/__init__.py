"""Fine-tuning on a dataset of parts, and the tuning of prompts."""

from .arguments import TrainArguments
from .interruption import TrainingInterrupted
from .loop import train
from .prompt_tuning import load_clip, tune_prompts
from .prompt_tuning_arguments import PromptTuningArguments
from .prompt_tuning_scores import classify_parts

__all__ = [
    "PromptTuningArguments",
    "TrainArguments",
    "TrainingInterrupted",
    "classify_parts",
    "load_clip",
    "train",
    "tune_prompts",
]
