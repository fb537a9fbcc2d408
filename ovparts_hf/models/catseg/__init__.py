"""CAT-Seg (Cho et al., CVPR 2024) for parts."""
