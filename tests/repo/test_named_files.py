"""What docstrings, comments and pages call by name exists: programs, rooms and what they offer."""

import ast
import importlib
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest
from package_map import PAGES, ROOT, file_of

HISTORY = {"docs/results/log.md"}
"""Commands and names there stay as they were run."""
UPSTREAM = ROOT / "docs" / "guides" / "migration"
"""In its tables the first column names what other projects have; every other word there is about ours."""
FOLDERS = ("src", "tests", "experiments", "recipes", "benchmarks")
PROGRAMS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TEXTS = [*(page for page in PAGES if str(page.relative_to(ROOT)) not in HISTORY), ROOT / "CONTRIBUTING.md", *PROGRAMS]
PATHS = [f"/{path.relative_to(ROOT)}" for path in [*PROGRAMS, *sorted((ROOT / ".ci").rglob("*.py"))]]


ENGINES = {f"spanwise.integrations.{name}" for name in ("trl", "verl", "skyrl")}
"""Files that import only where their engine is installed."""


@cache
def prose_of(path: Path) -> str:
    """A page as it stands, of a program its docstrings and comments."""
    source = path.read_text()
    if path.is_relative_to(UPSTREAM):
        return re.sub(r"^\|[^|]*\|", "|", source, flags=re.MULTILINE)
    if path.suffix == ".md":
        return source
    docstrings = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*docstrings, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_that_a_text_names_exist(path: Path) -> None:
    names = set(re.findall(r"(?<![\w/.{}*-])(?:\w+/)*\w+\.py\b", prose_of(path)))
    assert not [name for name in sorted(names) if not any(known.endswith(f"/{name}") for known in PATHS)]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_the_package_that_a_text_names_exist(path: Path) -> None:
    names = re.findall(r"(?<![\w/.@-])spanwise(?:\.[A-Za-z_]\w*)+(?![\w/*-])", prose_of(path))
    assert not [name for name in sorted(set(names)) if not exists(name)]


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module of the package or to an attribute of one."""
    if name in ENGINES:
        return file_of(name) is not None
    parts = name.split(".")
    module = next(parts[:end] for end in range(len(parts), 0, -1) if file_of(".".join(parts[:end])))
    target: object = importlib.import_module(".".join(module))
    for part in parts[len(module) :]:
        if not hasattr(target, part):
            return False
        target = getattr(target, part)
    return True
