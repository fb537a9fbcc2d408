"""MaskFormer (Cheng et al., NeurIPS 2021) for parts, with a closed vocabulary."""
