from .configuration_clipseg import CLIPSegPartConfig
from .modeling_clipseg import CLIPSegForPartSegmentation

__all__ = ["CLIPSegForPartSegmentation", "CLIPSegPartConfig"]
