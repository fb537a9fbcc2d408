import re

from .lower_bounds import lower_bounds


def test_everything_has_one_lower_bound():
    bounds = lower_bounds()
    assert {"torch", "transformers", "gradio", "evaluate", "pytest"} <= {bound.split("==")[0] for bound in bounds}
    assert [bound for bound in bounds if not re.fullmatch(r"[\w-]+==\d+(\.\d+)*", bound)] == []
