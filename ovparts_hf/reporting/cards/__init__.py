"""Cards: what a person should know before using a model or a dataset, made from facts so that none of them drifts."""

from .benchmark import BENCHMARK_MODELS
from .folder import folder_card, write_folder_card
from .rendering import DATASET_CARDS, dataset_card, model_card

__all__ = ["BENCHMARK_MODELS", "DATASET_CARDS", "dataset_card", "folder_card", "model_card", "write_folder_card"]
