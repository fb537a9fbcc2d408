import pytest

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.taxonomy import ADE20K_PART_234
from ovparts_hf.taxonomy.tasks import Setting, get_setting, get_task


@pytest.mark.parametrize(
    ("name", "trained", "seen", "headline"),
    [
        ("zero_shot", 176, 176, "hIoU"),
        ("few_shot", 234, 234, "mIoU"),
        ("supervised", 234, 176, "mIoU"),
        ("cross_dataset", 176, 176, "mIoU"),
    ],
)
def test_tasks(name, trained, seen, headline):
    task = get_task(name)
    assert len(task.train_taxonomy(ADE20K_PART_234).part_classes) == trained
    assert len(task.seen_ids(ADE20K_PART_234)) == seen
    assert task.headline == headline
    assert (task.held_out_config is not None) == (name == "few_shot")
    assert task.train_config == ("few_shot_16" if name == "few_shot" else "default")
    assert get_task(task) is task


def test_settings():
    assert get_setting("oracle_obj") is Setting.ORACLE_OBJ
    assert get_setting(Setting.PRED_ALL) is Setting.PRED_ALL


def test_unknown_names():
    with pytest.raises(ConfigurationError, match="'zeroshot'; choose one of"):
        get_task("zeroshot")
    with pytest.raises(ConfigurationError, match="; choose one of"):
        get_task(["zero_shot"])
    with pytest.raises(ConfigurationError, match="'oracle'; choose one of"):
        get_setting("oracle")
