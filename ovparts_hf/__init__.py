"""Open-vocabulary part segmentation: name the parts of an object in words and get their pixels."""

__version__ = "0.1.0"
