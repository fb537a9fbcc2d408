"""ZSseg (Xu et al., ECCV 2022) and ZSseg+ (Wei et al., NeurIPS 2023) for parts."""
