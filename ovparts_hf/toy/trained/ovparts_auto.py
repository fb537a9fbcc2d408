"""Lets transformers load what lies beside this file with `trust_remote_code=True`.

The code itself is in the Python package ovparts_hf, which must be installed. With `import ovparts_hf` before loading,
neither this file nor `trust_remote_code` is needed.
"""

try:
    from ovparts_hf import (  # noqa: F401
        CATSegConfig,
        CATSegForPartSegmentation,
        CATSegImageProcessor,
        CLIPSegForPartSegmentation,
        CLIPSegPartConfig,
        ClosedVocabularyProcessor,
        MaskClassificationImageProcessor,
        MaskFormerForPartSegmentation,
        MaskFormerPartConfig,
        PartCATSegConfig,
        PartCATSegForPartSegmentation,
        PartCATSegProcessor,
        PartCLIPSegConfig,
        PartCLIPSegForPartSegmentation,
        PartCLIPSegProcessor,
        PartSegmentationImageProcessor,
        PartSegmentationProcessor,
        ZSSegConfig,
        ZSSegForPartSegmentation,
    )
except ModuleNotFoundError as error:
    if error.name != "ovparts_hf":
        raise
    raise ImportError(
        "This model needs the Python package ovparts_hf, which is not installed. Install it (pip install ovparts_hf, "
        "or from its repository), then load the model again."
    ) from error
