"""Doing something once another library is imported or used, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def call_after_import(name: str, function: Callable[[ModuleType], None]) -> None:
    """Calls a function with a module: now if it has been imported, or else when somebody imports it."""
    if name in sys.modules:
        function(sys.modules[name])
    else:
        sys.meta_path.insert(0, _AfterImport(name, function))


def call_before(owner: type, method: str, function: Callable[[], Any]) -> None:
    """Calls a function before the first call of a method or class method."""
    original = owner.__dict__[method]

    @wraps(getattr(original, "__func__", original))
    def first_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        setattr(owner, method, original)
        function()
        return getattr(self, method)(*args, **kwargs)

    setattr(owner, method, classmethod(first_call) if isinstance(original, classmethod) else first_call)


class _AfterImport(MetaPathFinder, Loader):
    """Finds and loads a module as usual, then calls the function."""

    def __init__(self, name: str, function: Callable[[ModuleType], None]) -> None:
        self.name, self.function = name, function

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.function(module)
