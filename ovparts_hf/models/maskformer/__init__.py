from .configuration_maskformer import MaskFormerPartConfig
from .modeling_maskformer import MaskFormerForPartSegmentation

__all__ = ["MaskFormerForPartSegmentation", "MaskFormerPartConfig"]
