"""The README is true: its links lead somewhere, its commands exist, its program binds to the library."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from doubles import reward_world
from package_map import PAGES, ROOT, SOURCE, file_of, names_imported_by, programs

from spanwise.cli import app
from spanwise.feedback import PromptRecord, write_records
from spanwise.models import Policy

README = (ROOT / "README.md").read_text()
INTERNALS = (ROOT / "docs" / "internals" / "index.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_exist(page: Path) -> None:
    root = typer.main.get_command(app)
    for line in re.findall(r"^ {4}(?:\$ )?spanwise ((?:[a-z][a-z-]*(?!\S) *)+)", page.read_text(), flags=re.MULTILINE):
        command: Any = root
        for word in line.split():
            if not hasattr(command, "commands"):  # a group of typer's, whose classes are its own and not click's
                break
            assert word in command.commands, f"{page.name}: spanwise {line}"
            command = command.commands[word]


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)) - {"are"}:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"make {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_programs_import_what_the_package_or_its_rooms_offer(page: Path) -> None:
    for program in programs(page):
        for module, name in names_imported_by(program):
            source = file_of(module)
            assert source is not None, f"{module} does not exist"
            assert source.name == "__init__.py", f"{module} is a file; import {name} from its room"
            assert not name or hasattr(importlib.import_module(module), name), f"{module} offers no {name}"


def test_the_first_program_runs_as_printed(tmp_path, monkeypatch, capsys) -> None:
    for part in reward_world.tiny_bert():
        part.save_pretrained(tmp_path / "my" / "encoder")
    model, tokenizer = reward_world.tiny_decoder()
    model.generation_config.eos_token_id = list(range(2, len(tokenizer), 3))  # answers of three words take no time
    Policy(model, tokenizer).save(tmp_path / "my" / "policy")
    write_records(tmp_path / "marks.jsonl", reward_world.records(12))
    for name in ("prompts", "heldout"):
        asked = [PromptRecord(id=r.id, prompt=r.prompt, passages=r.passages) for r in reward_world.records(6, name)]
        write_records(tmp_path / f"{name}.jsonl", asked)
    monkeypatch.chdir(tmp_path)
    exec(programs(ROOT / "README.md")[0], {})
    checkpoint, first, best = capsys.readouterr().out.split()
    assert checkpoint == "runs/rl/checkpoints/best"
    assert Policy.load(checkpoint).window
    assert float(best) >= float(first)


def test_the_tree_names_every_part_of_the_package() -> None:
    tree = INTERNALS[INTERNALS.index("## The tree") :]
    parts = {path.name for path in SOURCE.iterdir() if not path.name.startswith("__")} - {"py.typed"}
    assert not [part for part in parts if part not in tree]


def test_files_to_read_first_exist() -> None:
    names = re.findall(r"`([\w/]+\.py)`", INTERNALS)
    assert names
    for name in names:
        assert (SOURCE / name).exists(), name


def test_readme_is_short() -> None:
    assert len(README.split()) <= 1000
