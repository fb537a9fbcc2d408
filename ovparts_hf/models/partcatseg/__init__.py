"""PartCATSeg (Choi et al., CVPR 2025)."""
