"""Imports go downwards only, and the light half works without torch: the architecture's rules as tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "spanwise"

LAYERS = {
    "errors": 0, "storage": 0, "strict_json": 0, "config": 0, "devices": 0, "locks": 0, "lazy": 0, "lora": 0,
    "seeding": 0, "sft_config": 0,
    "tracking": 0, "llm": 0,
    "text": 1,
    "feedback": 2,
    "scores": 3,
    "annotate": 3, "editors": 3,
    "models": 4,
    "reward_models": 5,
    "rewards": 6,
    "rl": 7, "sft": 7, "preference_tuning": 7, "evals": 7,
    "sim": 8,
    "tasks": 9,
    "cli": 10,
}  # fmt: skip
APART = ("rl", "sft", "preference_tuning", "evals")
"""Neighbours that never import each other."""
ONLY_BELOW = dict.fromkeys(("annotate", "editors"), {name for name, layer in LAYERS.items() if layer < 3} | {"scores"})
"""Parts that may import these and nothing else of Spanwise."""
LIGHT = (
    "spanwise.core.config", "spanwise.text.segments", "spanwise.text.alignment", "spanwise.feedback.files",
    "spanwise.feedback.statistics.records", "spanwise.feedback.scores", "spanwise.rewards.mixture", "spanwise.sim.oracle",
    "spanwise.sim.annotator", "spanwise.cli", "spanwise.annotate.work.submission", "spanwise.llm.editors.generate",
)  # fmt: skip


def _part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Parts of Spanwise that a file imports, those for type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("spanwise.")}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downwards_only(path: Path) -> None:
    part = _part(path)
    if part == "__init__":
        assert not _imports(path)
        return
    for imported in _imports(path) - {part}:
        assert LAYERS[imported] <= LAYERS[part], f"{path.name} of {part} imports {imported}, which lies above it"
        assert imported in ONLY_BELOW.get(part, LAYERS), f"{path.name} of {part} may not import {imported}"
        assert not (part in APART and imported in APART), f"{part} and {imported} must not know each other"


def test_every_part_has_a_layer() -> None:
    assert {_part(path) for path in FILES} - {"__init__"} == set(LAYERS)


def test_the_light_half_imports_without_torch_and_transformers() -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'transformers'}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n" + "".join(f"import {name}\n" for name in LIGHT)
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_module_imports_where_there_are_no_modules_of_posix() -> None:
    """Windows has none of these; other packages know that by themselves, so they alone are let through here."""
    program = (
        "import builtins, contextlib, importlib, pkgutil, spanwise\n"
        "known = builtins.__import__\n"
        "def refuse(name, globals=None, *more, **named):\n"
        "    if name in {'fcntl', 'grp', 'pwd', 'resource', 'termios'}:\n"
        "        if (globals or {}).get('__name__', '').startswith('spanwise'): raise ImportError(name)\n"
        "    return known(name, globals, *more, **named)\n"
        "builtins.__import__ = refuse\n"
        "for module in pkgutil.walk_packages(spanwise.__path__, 'spanwise.'):\n"
        "    with contextlib.suppress(ModuleNotFoundError):  # of an extra that is not installed\n"
        "        if not module.name.endswith('.migrations.env'): importlib.import_module(module.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
