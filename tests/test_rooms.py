"""The house that CONTRIBUTING.md draws: which rooms there are, and who may import whom."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ovparts_hf"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "ovparts_auto.py"]  # which saved folders carry
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
DRAWING = re.search(r"```text\novparts_hf/\n(.*?)```", TEXT, re.DOTALL)[1]
ROOMS = re.findall(r"^  (\w+)/? ", DRAWING, re.MULTILINE)
"""From the ground up. A file imports only from its own room and from those before it."""
MOST_LINES = 400


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file) for file in FILES}


def imported_modules(file: Path, at_import: bool = False) -> set[str]:
    """Modules of the package that a file imports, anywhere or only when it is imported itself."""
    package = file.relative_to(ROOT).parent.parts
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if at_import else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source for alias in node.names
            }
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_the_drawing_shows_every_room():
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE}
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == folders | {"errors"}
    assert len(folders) <= 12


def test_few_files_stand_outside_of_a_room():
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "errors.py"}


def test_files_import_only_from_rooms_below():
    above = {}
    for file in FILES:
        own = room(module_name(file))
        if own in ROOMS:  # unlike the two files that show the package to the outside
            below = ROOMS[: ROOMS.index(own) + 1]
            above[module_name(file)] = {module for module in imported_modules(file) if room(module) not in below}
    assert len(above) == len(FILES) - 2
    assert {file: modules for file, modules in above.items() if modules} == {}


def test_imports_go_round_no_circle():
    graph = {module_name(file): imported_modules(file, at_import=True) - {module_name(file)} for file in FILES}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == MODULES


def test_a_file_holds_one_idea():
    files = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {file: count for file, count in lines.items() if count > MOST_LINES} == {}
