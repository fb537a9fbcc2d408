import torch

from ovparts_hf.inference.tta import SHORT_EDGES, TestTimeAugmentation, takes_any_size
from ovparts_hf.models.maskformer.image_processing_maskformer import MaskClassificationImageProcessor
from ovparts_hf.models.processing import ClosedVocabularyProcessor
from ovparts_hf.taxonomy.tasks import get_task


def test_sizes_and_masks_of_models_that_take_any_size(pascal):
    processor = ClosedVocabularyProcessor(MaskClassificationImageProcessor())
    sample = pascal.read(pascal.evaluation_records(get_task("zero_shot"))[0])
    mask = (sample.object_map != pascal.taxonomy.ignore_index)[None]
    views = TestTimeAugmentation(tta=True).views(processor, sample.image, mask)
    assert takes_any_size(processor)
    assert [min(view.inputs["pixel_values"].shape[-2:]) for view in views[::2]] == list(SHORT_EDGES)
    assert [view.flipped for view in views] == [False, True] * len(SHORT_EDGES)
    for plain, flipped in zip(views[::2], views[1::2]):
        assert plain.inputs["object_masks"].shape[-2:] == plain.inputs["pixel_values"].shape[-2:]
        difference = plain.inputs["object_masks"] != flipped.inputs["object_masks"].flip(-1)
        assert difference.float().mean() < 0.05  # nearest neighbour is not symmetric
        torch.testing.assert_close(
            plain.inputs["pixel_values"], flipped.inputs["pixel_values"].flip(-1), atol=0.1, rtol=0
        )
