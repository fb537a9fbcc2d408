from .configuration_zsseg import ZSSegConfig
from .modeling_zsseg import ZSSegForPartSegmentation

__all__ = ["ZSSegConfig", "ZSSegForPartSegmentation"]
