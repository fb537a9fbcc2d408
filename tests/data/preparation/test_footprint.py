"""Preparing and checking load neither torch nor transformers, and need little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import dataset_builders
import ovparts_hf

PACKAGES = [str(Path(package.__file__).parent) for package in (ovparts_hf, dataset_builders)]
SCRIPT = """
import json, sys, types

def heavy():
    return sorted({"torch", "transformers", "datasets", "pandas"} & set(sys.modules))

package, root, archive, out = *sys.argv[1:],
stub = types.ModuleType("ovparts_hf")  # what the package loads for its users is another matter
stub.__path__, stub.__version__ = [package], "0"
sys.modules["ovparts_hf"] = stub
sys.path.insert(0, root)

from dataset_builders import RELEASES
from ovparts_hf.data.preparation.check import check
from ovparts_hf.data.preparation.repository import write_repository

after = {"import": heavy()}
assert check(archive, RELEASES, progress=False).ok
after["check of a release"] = heavy()
write_repository(RELEASES["ade20k-part-234"](archive), out, progress=False)
assert check(out, RELEASES, progress=False).ok
after["prepare"] = heavy()
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"after": after, "peak": int(peak) / 1024}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_preparing_is_light(ade_archive, tmp_path):
    package, builders = PACKAGES
    arguments = [package, str(Path(builders).parent), str(ade_archive), str(tmp_path / "out")]
    run = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["after"]["import"] == found["after"]["check of a release"] == []
    assert not {"torch", "transformers"} & set(found["after"]["prepare"])
    assert found["peak"] < 300  # MB
