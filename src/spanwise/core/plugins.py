"""Code of one's own by its import path, `my.module:Name`, wherever a config takes a name of ours."""

import importlib
import os
import sys
from typing import Annotated, Any

from pydantic import AfterValidator

from spanwise.core.errors import ConfigError


def is_path(name: str) -> bool:
    """Whether `name` is an import path, with a colon between module and name."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _path(name: str) -> str:
    if not is_path(name):
        raise ValueError(f"{name!r} is neither a known name nor an import path, my.module:Name")
    return name


ImportPath = Annotated[str, AfterValidator(_path)]
"""The import path of code of one's own, `my.module:Name`."""


def load_object(path: str, *, place: str) -> Any:
    """The class or function at `my.module:Name`; modules beside the place where the command runs are found.

    Raises ConfigError that names `place`, the setting, where it cannot be had.
    """
    if not is_path(path):
        raise ConfigError(f"{place}: {path!r} is no import path; write my.module:Name.")
    module, _, name = path.partition(":")
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever the module does when it is imported
        raise ConfigError(
            f"{place}: {module} cannot be imported ({type(error).__name__}: {error}); mend it."
        ) from error
    if not hasattr(found, name):
        raise ConfigError(f"{place}: {module} has no {name}; it must be defined there.")
    return getattr(found, name)
