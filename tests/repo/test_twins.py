"""No function body stands in two files: what two rooms need lies in one they both may import."""

import ast
from collections import defaultdict
from pathlib import Path

from package_map import FILES, label

SHORTEST = 60
"""Nodes of a syntax tree below which equal bodies are chance: one call, one comprehension."""


def test_no_body_stands_in_two_files() -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = _body(node)
                if sum(1 for part in body for _ in ast.walk(part)) >= SHORTEST:
                    homes["".join(map(ast.dump, body))].add(f"{label(path)}: {node.name}")
    twins = [sorted(places) for places in homes.values() if len({place.split(":")[0] for place in places}) > 1]
    assert not twins


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return node.body[documented:]


def test_a_copied_body_would_be_seen(tmp_path: Path) -> None:
    text = "def f(x):\n    total = 0\n    for y in x:\n        total += y * y + 2 * y\n    return total\n"
    first, second = (ast.parse(text.replace("def f", f"def {name}")).body[0] for name in "fg")
    assert isinstance(first, ast.FunctionDef)
    assert isinstance(second, ast.FunctionDef)
    assert list(map(ast.dump, _body(first))) == list(map(ast.dump, _body(second)))
