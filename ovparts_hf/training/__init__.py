"""Fine-tuning on a dataset of parts, and the tuning of prompts."""

from .arguments import TrainArguments
from .interruption import TrainingInterrupted
from .loop import train
from .prompt_tuning import tune_prompts
from .prompt_tuning_arguments import PromptTuningArguments
from .prompt_tuning_clip import StockCLIP
from .prompt_tuning_scores import classify_parts

__all__ = [
    "PromptTuningArguments",
    "StockCLIP",
    "TrainArguments",
    "TrainingInterrupted",
    "classify_parts",
    "train",
    "tune_prompts",
]
