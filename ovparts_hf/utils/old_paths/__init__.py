"""Modules that stood elsewhere up to 0.1; `ovparts_hf.__path__` makes them importable from there, as before."""
