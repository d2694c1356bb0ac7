"""What the package's files import of each other, names offered by a room resolved to the file that defines them."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "spanwise"
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = [path for path in FILES if path.name != "__init__.py"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").rglob("*.md"))]
"""What readers are told."""
ROOMS = [path.parent for path in FILES if path.name == "__init__.py"]


def label(path: Path) -> str:
    """The path below the package, for the names of tests."""
    return str(path.relative_to(SOURCE))


def dotted(path: Path) -> str:
    """The import name of a file or of a room's folder."""
    parts = (path.parent / path.stem).relative_to(SOURCE).parts
    return ".".join(("spanwise", *(part for part in parts if part != "__init__")))


def file_of(name: str) -> Path | None:
    """The file that `import name` runs, None where there is none of Spanwise."""
    if name.split(".", maxsplit=1)[0] != "spanwise":
        return None
    path = SOURCE.joinpath(*name.split(".")[1:])
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    return None


@cache
def offered(room: Path) -> dict[str, Path]:
    """Names that a room offers, each with the file that defines it, as its stub says."""
    stub = room / "__init__.pyi"
    if not stub.exists():
        return {}
    names: dict[str, Path] = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            target = file_of(f"{dotted(room)}.{node.module}")
            assert target is not None, f"{stub} names {node.module}, which does not exist"
            inner = offered(target.parent) if target.name == "__init__.py" else {}
            names |= {alias.name: inner.get(alias.name, target) for alias in node.names}
    return names


@cache
def imported_names(path: Path) -> frozenset[tuple[str, str]]:
    """(module, name) of every own import of a file, those inside functions and for type checking included."""
    return names_imported_by(path.read_text())


def names_imported_by(program: str) -> frozenset[tuple[str, str]]:
    """(module, name) of every import of Spanwise in a program; no name where the module itself is imported."""
    pairs: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            pairs |= {(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "spanwise"}
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "spanwise":
            pairs |= {(node.module, alias.name) for alias in node.names}
    return frozenset(pairs)


def programs(page: Path) -> list[str]:
    """The Python programs that a page shows."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """The files whose definitions a file imports."""
    return frozenset(file_behind(*pair, reader=label(path)) for pair in imported_names(path)) - {path}


def file_behind(module: str, name: str, *, reader: str) -> Path:
    """The file that defines what `from module import name` gives."""
    whole = file_of(f"{module}.{name}") if name else None
    target = whole or file_of(module)
    assert target is not None, f"{reader} imports {module}, which does not exist"
    return offered(target.parent).get(name, target) if target.name == "__init__.py" else target
