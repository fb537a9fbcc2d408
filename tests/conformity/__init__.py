"""transformers' own tests on the models and processors of this package; `python -m tests.conformity` runs all."""
