"""Imports go downwards only, and the light half works without torch: the architecture's rules as tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from package_map import FILES, MODULES, ROOMS, imported_files, label

LAYERS = (
    ("core",),
    ("text",),
    ("feedback/problems.py",),
    ("feedback/formats/offsets.py",),
    ("feedback/formats/tables",),
    ("feedback",),
    tuple(f"feedback/formats/{name}.py" for name in ("contract", "carried", "json_values", "rows", "steps")),
    ("feedback/formats/tools", "feedback/formats/corpora", "feedback/formats/training"),
    ("feedback/statistics", "feedback/crowds", "feedback/formats", "llm"),
    ("annotate/store", "llm/editors", "llm/critics"),
    ("annotate/people",),
    ("annotate/work",),
    ("annotate/exchange",),
    ("annotate/manage",),
    ("annotate/rounds",),
    tuple(f"annotate/web/{name}.py" for name in ("bodies", "endpoints", "security", "markdown", "messages")),
    ("annotate/web/routes",),
    ("annotate", "annotate/web", "annotate/store/migrations"),
    ("annotate/store/migrations/versions",),
    ("models/cpu", "models/encoding"),
    ("models",),
    ("training",),
    ("reward_models",),
    ("reward_models/features",),
    ("reward_models/data",),
    ("reward_models/network",),
    ("rewards/scorers", "rewards/foreign", "rewards/signals"),
    ("rewards",),
    ("reward_models/fitting",),
    ("rl/config.py", "rl/alarms.py"),
    ("rl/algorithms",),
    ("rl/runtime",),
    ("rl",),
    ("evals", "evals/statistics"),
    ("evals/rivals",),
    ("evals/runs",),
    ("evals/report",),
    ("evals/metrics", "evals/pages", "evals/win_rate/judges"),
    ("evals/win_rate",),
    ("evals/reward_models", "evals/robustness"),
    ("sim",),
    ("quickstart",),
    ("sweeps",),
    ("integrations",),
    ("setup",),
    ("cli", "api.py"),
)
"""Rooms, or single files of a room that lie deeper than it, from the bottom up; those of one row do not know each
other. The lazy door of a room counts as the file behind each name."""
APART = ("rl", "evals", "annotate")
"""Neighbours that never import each other."""
ONLY_BELOW = {"annotate": {"core", "text", "feedback"}, "llm": {"core", "text", "feedback"}}
"""Parts that may import these and nothing else of Spanwise."""
LIGHT = (
    "core.config", "text.segments", "text.alignment", "feedback.files", "feedback.statistics.records",
    "feedback.scores", "rewards.mixture", "sim.oracle", "sim.annotator", "cli", "annotate.work.submission",
    "llm.editors.generate",
)  # fmt: skip
DEPTHS = {name: depth for depth, row in enumerate(LAYERS) for name in row}


def _depth(path: Path) -> int:
    return DEPTHS[label(path)] if label(path) in DEPTHS else DEPTHS[label(path.parent)]


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_imports_go_downwards_only(path: Path) -> None:
    part = label(path).split("/", maxsplit=1)[0]
    for imported in imported_files(path):
        other = label(imported).split("/", maxsplit=1)[0]
        same_room = imported.parent == path.parent
        assert same_room or _depth(imported) < _depth(path), f"{label(path)} imports {label(imported)}, above it"
        assert other in {part, *ONLY_BELOW.get(part, {other})}, f"{label(path)} may not import {label(imported)}"
        assert part == other or not (part in APART and other in APART), f"{part} and {other} must not know each other"


def test_the_package_imports_nothing_that_it_is_installed_without() -> None:
    beside = {"experiments", "recipes", "benchmarks", "tests", "doubles"}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not beside & {name.split(".")[0] for name in names}, label(path)


def test_every_room_has_a_layer() -> None:
    rooms = {label(room) for room in ROOMS} - {"."}
    versions = "annotate/store/migrations/versions"  # a folder that Alembic reads, no package
    assert rooms | {versions} == {name for name in DEPTHS if not name.endswith(".py")}


def test_the_light_half_imports_without_torch_and_transformers() -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'transformers'}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n" + "".join(f"import spanwise.{name}\n" for name in LIGHT)
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
