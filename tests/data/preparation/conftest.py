"""Prepared datasets, and their rows."""

import datasets
import numpy as np
import pytest
from PIL import Image

from ovparts_hf.data.preparation.repository import write_repository
from ovparts_hf.dataset_builders import PascalPart116


def prepare(source, out, **options):
    return write_repository(PascalPart116(data_dir=source), out, progress=False, **options)


def rows_of(folder, config="default", **options):
    loaded = datasets.load_dataset(str(folder), config, **options)
    return {split: list(rows) for split, rows in loaded.items()}


@pytest.fixture(scope="session")
def pascal_rows(pascal_folder):
    """Of the fixture, decoded; not to be changed."""
    return rows_of(pascal_folder)


def same_rows(left, right):
    assert left.keys() == right.keys()
    for split in left:
        assert [row["image_id"] for row in left[split]] == [row["image_id"] for row in right[split]]
        for row, other in zip(left[split], right[split]):
            for column, value in row.items():
                if isinstance(value, Image.Image):
                    assert value.mode == other[column].mode
                    np.testing.assert_array_equal(np.asarray(value), np.asarray(other[column]))
                else:
                    assert value == other[column]
