"""What a program has imported."""

import subprocess
import sys

SCRIPT = """
import sys
before = set(sys.modules)
{program}
names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*names - set(sys.stdlib_module_names))
"""


def packages_loaded(program: str) -> set[str]:
    """Packages, but for those of Python itself, that a program loads in an interpreter of its own."""
    script = SCRIPT.format(program=program)
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    return set(run.stdout.split())
