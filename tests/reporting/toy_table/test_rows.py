"""The rows of the table and their settings."""

from pathlib import Path

import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.models.auto import FAMILIES
from ovparts_hf.models.loading import ModelSource
from ovparts_hf.reporting.toy_table.rows import chosen_rows, table_overrides, table_plan

ROWS = table_plan()["rows"]


def test_every_family_has_a_row():
    families = {ModelSource(row.source, for_training=True).config().model_type for row in ROWS.values()}
    assert families == {f"ovparts_{family}" for family in FAMILIES}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_becomes_settings_that_can_be_resumed(name, tmp_path):
    prompts, arguments = ROWS[name].settings(tmp_path / "data", tmp_path / "run", 3, {"steps": 7})
    assert (arguments.steps, arguments.seed, arguments.resume, arguments.threads) == (7, 3, True, 1)
    assert Path(arguments.output) == tmp_path / "run" / "run"
    assert arguments.model == ROWS[name].source
    if prompts is not None:
        assert (prompts.steps, prompts.seed) == (7, 3)
        assert Path(arguments.prompts).parent == Path(prompts.output)


def test_whole_objects_are_learned_by_recipes_of_the_table(tmp_path):
    needed = {row.pretraining for row in ROWS.values() if row.start == "objects"}
    assert needed and needed <= table_plan()["pretraining"].keys()
    for pretraining in table_plan()["pretraining"].values():
        assert pretraining.settings(tmp_path, {"steps": 2}).steps == 2


def test_only_supervised_rows_learn_unseen_parts():
    assert [name for name, row in ROWS.items() if row.learns_unseen_parts] == ["maskformer", "maskformer-from-objects"]


def test_rows_are_chosen_by_name_in_the_order_of_the_table():
    first, *_, last = ROWS
    assert [row.name for row in chosen_rows([last, first])] == [first, last]
    assert [row.name for row in chosen_rows(None)] == list(ROWS)
    with pytest.raises(ConfigurationError, match=r"There is no row 'clipsag' in the table.*Did you mean 'clipseg'"):
        chosen_rows(["clipsag"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=1"], r"\['seed'\] cannot be overridden in the table"),
        (["lerning_rate=1"], r"Unknown training arguments \['lerning_rate'\].*learning_rate"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(words, message):
    with pytest.raises(ConfigurationError, match=message):
        table_overrides(words)


def test_overrides_reach_models_and_prompts():
    assert table_overrides(["steps=3", "--samples-per-class=1"]) == {"steps": 3, "samples_per_class": 1}
