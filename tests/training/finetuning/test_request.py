"""What is asked for is checked before any work."""

from pathlib import Path

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training.finetuning.request import FineTuningRequest


def test_is_read_as_people_write_it():
    request = FineTuningRequest("~/data", Path("~/out"), "~/model", time="2m", overrides={"classes_per_picture": 3})
    home = str(Path.home())
    assert (request.data, request.model, str(request.out)) == (f"{home}/data", f"{home}/model", f"{home}/out")
    assert request.time == 120 and request.overrides == {"classes_per_image": 3}
    assert "out" not in request.to_dict() and request.to_dict()["time"] == 120


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shots": 0}, "shots is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"time": "soon"}, "'soon' is no length of time"),
        (
            {"overrides": {"data": "x", "steps": 3}},
            r"\['data'\] cannot be overridden here: .* has DATA",
        ),
        ({"overrides": {"resume": True}}, r"\['resume'\] cannot be overridden"),
        ({"overrides": {"config": 3}}, "config is 3; give fields of the model's configuration"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        FineTuningRequest("data", Path("out"), **changes)
