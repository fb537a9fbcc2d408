"""Fine-tuning on a dataset of parts, and the tuning of prompts."""

from .arguments import TrainArguments
from .loop import train
from .prompt_tuning.arguments import PromptTuningArguments
from .prompt_tuning.clip import StockCLIP
from .prompt_tuning.loop import tune_prompts
from .prompt_tuning.scores import classify_parts
from .signals import TrainingInterrupted

__all__ = [
    "PromptTuningArguments",
    "StockCLIP",
    "TrainArguments",
    "TrainingInterrupted",
    "classify_parts",
    "train",
    "tune_prompts",
]
