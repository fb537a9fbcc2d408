"""Hooks into other libraries that do not import them."""

import sys

import pytest

from ovparts_hf.utils.imports import call_after_import, call_before


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The name of a module that nobody has imported yet."""
    (tmp_path / "some_library.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "some_library"
    sys.modules.pop("some_library", None)


def test_a_function_is_called_once_a_module_has_been_imported(library):
    finders, seen = list(sys.meta_path), []
    call_after_import(library, lambda module: seen.append(module.value))
    assert seen == [] and library not in sys.modules
    module = __import__(library)
    assert seen == [3]
    assert module.__spec__.loader is module.__loader__ and module.__spec__.origin.endswith("some_library.py")
    assert sys.meta_path == finders
    call_after_import(library, lambda module: seen.append(module))
    assert seen == [3, module]


def test_several_functions_wait_for_the_same_module(library):
    seen = []
    for number in range(3):
        call_after_import(library, lambda _, number=number: seen.append(number))
    __import__(library)
    assert sorted(seen) == [0, 1, 2]


def test_a_module_that_does_not_exist_is_still_missing():
    call_after_import("no_such_library", lambda _: pytest.fail("there is nothing to call it with"))
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        __import__("no_such_library")


def test_a_function_is_called_before_the_first_call_only():
    class Owner:
        @classmethod
        def make(cls, value):
            """Makes it."""
            return cls, value

        def use(self, *, value):
            return self, value

    class Heir(Owner):
        pass

    calls = []
    call_before(Owner, "make", lambda: calls.append("make"))
    call_before(Owner, "use", lambda: calls.append("use"))
    assert Owner.make.__doc__ == "Makes it."
    assert Heir.make(1) == (Heir, 1) and Owner.make(2) == (Owner, 2)
    owner = Owner()
    assert owner.use(value=3) == (owner, 3) and owner.use(value=4) == (owner, 4)
    assert calls == ["make", "use"]
