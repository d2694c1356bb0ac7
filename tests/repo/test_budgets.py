"""Files and functions stay small enough to be read in one sitting."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "src").rglob("*.py"))
FILE_LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 7
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "src" / "spanwise")))
def test_file_and_functions_stay_within_the_budget(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a file opens with what it is for"
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            body = (node.end_lineno or 0) - node.lineno + 1
            assert body <= FUNCTION_LINES, f"{node.name} has {body} lines"
            taken = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
            assert len(taken) <= ARGUMENTS, f"{node.name} takes {len(taken)} positional arguments"


def test_there_is_no_utils() -> None:
    assert not [path for path in FILES if "util" in path.name]
