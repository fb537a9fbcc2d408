from .configuration_catseg import CATSegConfig
from .modeling_catseg import CATSegForPartSegmentation

__all__ = ["CATSegConfig", "CATSegForPartSegmentation"]
