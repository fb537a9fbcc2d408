"""CLIPSeg (Lüddecke & Ecker, CVPR 2022) for parts."""
