"""Fine-tuning on a dataset of parts."""

from .arguments import TrainArguments
from .interruption import TrainingInterrupted
from .loop import train

__all__ = ["TrainArguments", "TrainingInterrupted", "train"]
