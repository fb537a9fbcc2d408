"""Segmenters of transformers, used as if they were models of this library: one file for each kind."""
