import importlib
import sys

import pytest

from ovparts_hf.utils.imports import call_after_import, call_before


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library with a module that nobody has imported yet."""
    (tmp_path / "some_library").mkdir()
    (tmp_path / "some_library" / "__init__.py").write_text("")
    (tmp_path / "some_library" / "late.py").write_text("value = 1\nimport some_library.other\n")
    (tmp_path / "some_library" / "other.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield "some_library.late"
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "some_library"]:
        del sys.modules[name]


def test_functions_are_called_once_the_module_is_complete(library):
    values = []
    for factor in (1, 10):
        call_after_import(library, lambda module, factor=factor: values.append(factor * module.value))
    importlib.import_module("some_library.other")
    assert values == []
    module = importlib.import_module(library)
    assert sorted(values) == [1, 10]
    assert type(module.__loader__).__module__.startswith("_frozen_importlib") and module.__spec__.loader
    importlib.reload(module)
    assert len(values) == 2


def test_a_module_that_is_there_is_used_at_once(library):
    module, values = importlib.import_module(library), []
    call_after_import(library, values.append)
    assert values == [module]


def test_a_module_that_never_comes_harms_nothing(library):
    call_after_import("some_library.missing", pytest.fail)
    with pytest.raises(ModuleNotFoundError, match="some_library.missing"):
        importlib.import_module("some_library.missing")


class Lookup:
    def find(self, name):
        """Finds."""
        return self, name

    @classmethod
    def make(cls, name):
        return cls, name


class Special(Lookup):
    pass


@pytest.mark.parametrize("method", ["find", "make"])
def test_only_the_first_call_is_preceded(method, monkeypatch):
    monkeypatch.setattr(Lookup, method, original := Lookup.__dict__[method])
    calls = []
    call_before(Lookup, method, lambda: calls.append(1))
    receiver = Special() if method == "find" else Special
    assert calls == []
    assert getattr(receiver, method)(name="x") == (receiver, "x")
    assert getattr(receiver, method)("y") == (receiver, "y")
    assert calls == [1]
    assert Lookup.__dict__[method] is original
