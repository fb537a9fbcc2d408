"""What transformers' tests of image processors and processors want to know about ours."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ovparts_hf.models.image_processing import PartSegmentationImageProcessor

from .suite import load

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "truck.png"


def load_tests(name: str) -> ModuleType:
    """See `load`; where the tests fetch an image from the Hub, they get one of this repository."""
    fetching = ModuleType("fetch_hub_objects_for_ci")  # which the source distribution does not have
    fetching.url_to_local_path = lambda url: str(IMAGE)
    sys.modules[fetching.__name__] = fetching
    return load(name)


def image_processor_tests(processor_class: type[PartSegmentationImageProcessor], **settings: Any) -> type:
    """transformers' tests of an image processor with some settings, to inherit from beside `unittest.TestCase`."""
    tests = load_tests("test_image_processing_common")

    class Tester(tests.ImageProcessingTester):
        num_labels = 5

        def __init__(self, parent: Any) -> None:
            super().__init__(parent, batch_size=2, max_resolution=80, **settings)

        def _get_image_processing_classes(self) -> dict[str, type]:
            return dict.fromkeys(("torchvision", "pil"), processor_class)  # as `models.auto` registers it

        def prepare_image_inputs(self, *args: Any, **kwargs: Any) -> list[Any]:
            """Images of one size where the processor keeps their shape: the models take no padding."""
            if "shortest_edge" in self.size:
                kwargs["equal_resolution"] = True
            return super().prepare_image_inputs(*args, **kwargs)

        def prepare_post_process_semantic_segmentation_inputs(self) -> tuple[dict[str, Any], dict[str, Any]]:
            size, self.size = self.size, {"height": 16, "width": 12}  # of the scores, whatever the processor's is
            try:
                return super().prepare_post_process_semantic_segmentation_inputs()
            finally:
                self.size = size

    class Tests(tests.ImageProcessingTestMixin, tests.PostProcessSemanticSegmentationTestMixin):
        image_processor_tester_class = Tester
        test_cast_dtype = True

    return Tests


def processor_tests() -> type:
    """transformers' tests of a processor, to inherit from beside `unittest.TestCase`."""

    class Tests(load_tests("test_processing_common").ProcessorTesterMixin):
        images_text_kwargs_max_length = 36  # the text encoder of the toy model takes 40
        images_text_kwargs_override_max_length = 34
        images_unstructured_max_length = 38

    return Tests
