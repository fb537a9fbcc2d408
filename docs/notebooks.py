"""What all notebooks of examples/notebooks share: a link to Colab, and a cell that installs the library.

Both follow from `url` in setup.cfg, the public address of the repository. Without one, they say what to upload instead.
"""

from __future__ import annotations

import json
from configparser import ConfigParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
_COLAB = "https://colab.research.google.com/"
_BADGE = f"[![Open in Colab]({_COLAB}assets/colab-badge.svg)]"
_INSTALL = """\
import subprocess
import sys
from importlib.util import find_spec
{imports}
if find_spec("ovparts_hf") is None:  # as in Colab
{source}
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", {what}], check=True)"""

_WHEEL = """\
    wheels = sorted(Path().glob("ovparts_hf-*.whl"))
    assert wheels, "Upload the wheel first; see above.\""""


def repository_address() -> str | None:
    """`url` in setup.cfg, such as "https://github.com/owner/name", or None."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"].get("url")


def render(path: Path, address: str | None) -> str:
    """The text of a notebook with its second and third cell written anew; the first is its title."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    title, *others = notebook["cells"]
    others = [cell for cell in others if cell["id"] not in ("colab", "install")]
    opening = [_cell("markdown", "colab", colab_text(path.name, address)), _cell("code", "install", install(address))]
    notebook["cells"] = [title, *opening, *others]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def colab_text(name: str, address: str | None) -> str:
    """A badge that opens a notebook in Colab; without an address of the repository, what to upload there."""
    link = colab_link(name, address)
    if address is not None:
        return f"{_BADGE}({link})"
    return (
        f"{_BADGE}({link}) The repository has no public address yet: in Colab, choose *Upload* and this file, then "
        "upload the wheel that `make wheel` writes to `dist/` (*Files*, at the left). Where the library is installed, "
        "nothing is needed."
    )


def colab_link(name: str, address: str | None) -> str:
    """Where Colab opens a notebook of the repository; without an address, Colab itself."""
    if address is None:
        return _COLAB
    repository = address.rstrip("/").removesuffix(".git").removeprefix("https://github.com/")
    return f"{_COLAB}github/{repository}/blob/main/{FOLDER.relative_to(ROOT).as_posix()}/{name}"


def install(address: str | None) -> str:
    """Python code that installs the library where it is missing."""
    if address is None:
        return _INSTALL.format(imports="from pathlib import Path\n", source=_WHEEL, what="str(wheels[-1])")
    return _INSTALL.format(imports="", source=f'    source = "ovparts_hf @ git+{address}"', what="source")


def paths() -> list[Path]:
    """All of them, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def heading(path: Path) -> tuple[str, str]:
    """The title of a notebook, and the paragraph below it."""
    text = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    title, about = text.split("\n\n")[:2]
    return title.removeprefix("# "), about.replace("\n", " ")


def _cell(kind: str, name: str, text: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
