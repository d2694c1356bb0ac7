"""Names that a package offers without importing their modules until somebody asks for one.

Packages whose modules import torch use it, so that their light modules can be imported alone. The package lists its
names in `__all__` and imports them under TYPE_CHECKING too, which is what editors and type checkers read.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of `package` (its `__name__`), where `modules` says which of its modules defines each name.

    A name that is not listed raises AttributeError, as in any module.
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next look-up needs no search
        return value

    return find
