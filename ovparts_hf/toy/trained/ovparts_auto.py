"""Lets transformers load what lies beside this file with `trust_remote_code=True`.

The code itself is in the Python package ovparts_hf, which must be installed. With `import ovparts_hf` before loading,
neither this file nor `trust_remote_code` is needed.
"""

try:
    import ovparts_hf
except ModuleNotFoundError as error:
    if error.name != "ovparts_hf":
        raise
    raise ImportError(
        "This model needs the Python package ovparts_hf, which is not installed. Install it (from its repository, or "
        "by pip install ovparts_hf once it is on PyPI), then load the model again."
    ) from error


def __getattr__(name):
    """The classes that config.json and processor_config.json name are the package's public ones."""
    if name in ovparts_hf.__all__:
        return getattr(ovparts_hf, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
