"""The package is a house in which things are found: rooms of a readable size, each with a door that says what it is."""

import ast
import importlib
from collections import defaultdict
from pathlib import Path

import pytest
from package_map import (
    FILES,
    MODULES,
    PAGES,
    ROOMS,
    SOURCE,
    dotted,
    file_behind,
    imported_files,
    imported_names,
    label,
    names_imported_by,
    offered,
    programs,
)

FILES_IN_A_ROOM, FILES_OF_PLUG_INS = 12, 20
PLUG_INS = {
    "cli", "feedback/formats", "feedback/formats/tools", "feedback/formats/corpora", "feedback/formats/training",
    "rl/algorithms", "rewards/scorers", "annotate/web/routes", "integrations",
}  # fmt: skip
"""Rooms of many files of one kind, each of which one table names."""
SMALL, OWN_IMPORTS = 80, 12
RUN_BY_NAME = {
    "annotate/store/migrations/env.py",
    "annotate/store/migrations/versions/0001_first.py",
    "annotate/store/migrations/versions/0002_many.py",
    "annotate/store/migrations/versions/0003_groups.py",
    "annotate/store/migrations/versions/0004_threads.py",
}
"""Files that Alembic runs."""


@pytest.mark.parametrize("room", ROOMS, ids=label)
def test_a_room_has_few_files(room: Path) -> None:
    most = FILES_OF_PLUG_INS if label(room) in PLUG_INS else FILES_IN_A_ROOM
    assert len(list(room.glob("*.py"))) <= most


@pytest.mark.parametrize("room", ROOMS, ids=label)
def test_a_room_says_what_it_is_for_and_offers_what_it_has(room: Path) -> None:
    package = importlib.import_module(dotted(room))
    assert package.__doc__, "a room opens with what it is for"
    assert sorted(package.__all__) == sorted(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert not (room / name).with_suffix(".py").exists(), f"{name} is a file's name and a definition's"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_what_other_rooms_import_is_offered_at_the_door(path: Path) -> None:
    """Of a room that is neither one's own nor one around it, the door gives the names, never a file behind it."""
    for module, name in imported_names(path):
        inner = SOURCE.joinpath(*module.split(".")[1:])
        if not inner.with_suffix(".py").exists() or path.is_relative_to(inner.parent):
            continue
        twice = [other for other in inner.parent.glob("*.py") if other.stem != inner.name and _defines(other, name)]
        assert twice or name.startswith("_"), f"{label(path)} imports {name} from {module}, not from its room"


def _defines(path: Path, name: str) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and node.name == name for node in ast.parse(path.read_text()).body)


def _importers() -> dict[Path, set[Path]]:
    importers: dict[Path, set[Path]] = defaultdict(set)
    for path in FILES:
        for target in imported_files(path):
            importers[target].add(path)
    return importers


IMPORTERS = _importers()


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_small_file_with_one_reader_beside_it_is_part_of_that_reader(path: Path) -> None:
    readers = IMPORTERS[path]
    if label(path.parent) in PLUG_INS or len(path.read_text().splitlines()) >= SMALL or len(readers) != 1:
        return
    (reader,) = readers
    offered_outside = path in offered(path.parent).values() and _used_through_the_door(path)
    assert reader.parent != path.parent or offered_outside, f"{label(path)} belongs into {label(reader)}"


def _used_through_the_door(path: Path) -> bool:
    return any(reader.parent != path.parent for reader in IMPORTERS[path])


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_knows_few_others(path: Path) -> None:
    assert len({module for module, _ in imported_names(path)}) <= OWN_IMPORTS


def test_every_file_is_reached_from_a_command_or_a_public_name() -> None:
    """A name is public when the package offers it, or when a page shows a program that takes it from a room."""
    shown = {pair: page.name for page in PAGES for program in programs(page) for pair in names_imported_by(program)}
    reached: set[Path] = set()
    ahead = [SOURCE / "cli" / "__init__.py", *offered(SOURCE).values()]
    ahead += [SOURCE / name for name in RUN_BY_NAME]
    ahead += [file_behind(*pair, reader=page) for pair, page in shown.items()]
    while ahead:
        path = ahead.pop()
        if path in reached:
            continue
        reached.add(path)
        ahead += imported_files(path)
        if label(path.parent) in PLUG_INS and path.name in ("__init__.py", "registry.py"):
            ahead += path.parent.glob("*.py")
    lost = {label(path) for path in MODULES} - {label(path) for path in reached}
    assert not lost
