"""Settings and help need none of the slow libraries: every config imports, and every `--help` answers, without them."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
SLOW = {"torch", "transformers", "sklearn", "scipy", "matplotlib"}
PROGRAM = f"""
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SLOW}:
            raise ImportError(f"{{name}} is slow")

sys.meta_path.insert(0, Refuse())
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(f"{{module}}: {{error}}")

import typer
from typer.testing import CliRunner
from spanwise.cli import app

def commands(group, words=()):
    yield words
    for name, inner in getattr(group, "commands", {{}}).items():
        yield from commands(inner, (*words, name))

for words in commands(typer.main.get_command(app)):
    result = CliRunner().invoke(app, [*words, "--help"])
    if result.exit_code or "Usage" not in result.output:
        print(f"{{' '.join(words)}} --help: {{result.exception!r}}")
"""


def _bases(tree: ast.Module) -> dict[str, set[str]]:
    """Names of the base classes of every class of a module."""
    return {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def _config_modules() -> list[str]:
    """Modules that define a `Config`, by its own name or by that of what it inherits from, at any distance."""
    modules = {path: _bases(ast.parse(path.read_text())) for path in sorted(SOURCE.rglob("*.py"))}
    configs = {"Config"}
    while (
        more := {name for classes in modules.values() for name, bases in classes.items() if bases & configs} - configs
    ):
        configs |= more
    return [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path, classes in modules.items()
        if classes.keys() & configs
    ]


def test_configs_and_help_need_no_slow_library() -> None:
    modules = set(_config_modules())
    assert {"spanwise.rl.config", "spanwise.reward_models.config", "spanwise.training.config"} <= modules
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *sorted(modules)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout, done.stdout
