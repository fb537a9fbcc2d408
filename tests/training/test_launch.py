"""The files for `accelerate launch`: accelerate reads all of them, and that of two CPU processes really starts two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin

from ovparts_hf.errors import ConfigurationError
from ovparts_hf.training import train
from ovparts_hf.training.sharding import plan_shards
from ovparts_hf.utils.precision import usable_precision

from .test_setup import arguments as real_arguments
from .tiny import assert_same_real_runs, log_lines

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples" / "accelerate").glob("*.yaml"))
TYPES = {
    "one_gpu": DistributedType.NO,
    "gpus_ddp": DistributedType.MULTI_GPU,
    "gpus_fsdp2": DistributedType.FSDP,
    "gpus_deepspeed_zero2": DistributedType.DEEPSPEED,
    "two_machines": DistributedType.MULTI_GPU,
    "cpu_2": DistributedType.MULTI_GPU,
}


def test_every_file_is_known_here() -> None:
    assert {file.stem for file in FILES} == set(TYPES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_reads_the_file_and_knows_every_key(file: Path) -> None:
    config = load_config_from_file(str(file))  # which refuses unknown keys
    assert isinstance(config, ClusterConfig)
    assert config.distributed_type is TYPES[file.stem]
    assert config.num_machines == (2 if file.stem == "two_machines" else 1)
    options = {action.dest for action in launch_command_parser()._actions}
    fields = {*DeepSpeedPlugin.__dataclass_fields__, *FullyShardedDataParallelPlugin.__dataclass_fields__}
    for name in ("fsdp_config", "deepspeed_config"):
        for key in yaml.safe_load(file.read_text()).get(name, {}):
            assert key in options or key in fields, key
    head = file.read_text().split("compute_environment")[0]
    assert f"--config_file examples/accelerate/{file.name}" in head
    assert "tests" in head  # what was tried, and what was not


def test_fsdp2_settings_make_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load((ROOT / "examples" / "accelerate" / "gpus_fsdp2.yaml").read_text())["fsdp_config"]
    given = {
        "fsdp_version": settings["fsdp_version"],
        "auto_wrap_policy": settings["fsdp_auto_wrap_policy"].lower(),
        "reshard_after_forward": settings["fsdp_reshard_after_forward"],
        "cpu_offload": settings["fsdp_offload_params"],
        "state_dict_type": settings["fsdp_state_dict_type"],
        "cpu_ram_efficient_loading": settings["fsdp_cpu_ram_efficient_loading"],
    }
    assert FullyShardedDataParallelPlugin(**given).fsdp_version == 2


@pytest.mark.skipif(torch.accelerator.is_available(), reason="the file is for machines without accelerator")
def test_two_processes_on_cpu_start_train_evaluate_and_save(
    pretrained: Path, pascal_folder: Path, tmp_path: Path
) -> None:
    options = {"steps": 2, "eval_every": 2, "optimizer": "sgd", "learning_rate": 0.1}
    given = real_arguments(pascal_folder, pretrained, tmp_path / "two", **options)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(given.to_yaml())
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "examples/accelerate/cpu_2.yaml"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ACCELERATE")}
    done = subprocess.run(
        [*launcher, "examples/train.py", "--recipe", str(recipe)],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("Training on cpu with 2 processes (DDP) in float32: ") == 1
    assert done.stdout.split() == [str(tmp_path / "two")]
    alone = train(real_arguments(pascal_folder, pretrained, tmp_path / "one", **options))
    assert_same_real_runs(tmp_path / "two", alone)
    assert len(log_lines(alone)) == 3


def test_shards_that_accelerate_would_not_make_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class TwoOnCpu:
        distributed_type, num_processes, device = DistributedType.MULTI_CPU, 2, torch.device("cpu")

    plan_shards(TwoOnCpu(), torch.nn.Linear(1, 1))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigurationError, match="on cpu accelerate makes no shards: train with DDP"):
        plan_shards(TwoOnCpu(), torch.nn.Linear(1, 1))


def test_a_lone_process_is_none_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert usable_precision("no") == "no"
