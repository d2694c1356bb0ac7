"""What programs and `--help` promise without extras; leaves tiny files in the working folder for the commands."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

import spanwise as sw
from spanwise.cli import app
from spanwise.feedback import Passage, Preference, Response, edit_pair, mark, write_records

TEXT = "Ilva works as a tanner. She lives in Kelwick."
RIGHT = "Ilva works as a mason. She lives in Kelwick."
RECORD = sw.FeedbackRecord(
    id="1",
    prompt="What does Ilva do?",
    passages=(Passage(title="Ilva", sentences=("Ilva is a mason.",)),),
    responses=(
        Response(text=TEXT, marked=True, spans=(mark(TEXT, 16, 22, "Wrong-Grounding"),), correction=RIGHT),
        *(Response(text=f"{RIGHT} {number}") for number in range(3)),
    ),
    preferences=tuple(Preference(first=i, second=j, winner="second") for i, j in combinations(range(4), 2)),
)
SFT = {"policy": "p", "demonstrations": "demo.jsonl", "heldout": "demo.jsonl", "run_dir": "r"}


def write_files() -> None:
    write_records(Path("marks.jsonl"), [RECORD])
    write_records(Path("edits.jsonl"), [edit_pair(TEXT, RIGHT, id="1", prompt=RECORD.prompt)])
    write_records(Path("demo.jsonl"), [sw.DemonstrationRecord(id="1", prompt=RECORD.prompt, completion=RIGHT)])
    Path("answer.txt").write_text(TEXT)
    Path("sft.yaml").write_text("".join(f"{key}: {value}\n" for key, value in SFT.items()))


def use_light_names() -> None:
    assert sw.load_feedback("marks.jsonl") == [RECORD]
    assert sw.describe([RECORD])
    assert [span.of(TEXT) for span in sw.get_segmenter("sentence")(TEXT)][1] == "She lives in Kelwick."
    assert sw.ScoreTable.from_values({"1": 0.5, "2": sw.Unscored("silent")}).unscored == 1
    assert sw.align_texts(TEXT, RIGHT).changes
    assert sw.MixtureConfig(sources={"relevance": sw.SourceWeight(weight=0.3)})
    for config in (sw.RewardModelConfig, sw.SFTConfig, sw.DPOConfig, sw.TrainerConfig, sw.Sampling):
        assert config()


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in getattr(group, "commands", {}).items():
        yield from commands(inner, (*words, name))


assert find_spec("torch") is None, "torch is installed: this is no light installation"
write_files()
use_light_names()
for asked in commands(typer.main.get_command(app)):
    result = CliRunner().invoke(app, [*asked, "--help"])
    assert result.exit_code == 0, f"{' '.join(asked)} --help: {result.exception!r}"
sys.exit("torch was imported" if "torch" in sys.modules else 0)
