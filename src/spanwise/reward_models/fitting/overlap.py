"""Whether a reward model is measured on questions that it was trained on: fingerprints of prompts, kept with the run.

Reads files of feedback and of edit pairs alike, which were checked before; keeps no text. Knows nothing of models.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from spanwise.core import parse, read_json, read_lines, write_json
from spanwise.feedback import Message, opening, read_turns
from spanwise.text import text_hash

SEEN_FILE = "seen_prompts.json"
"""Of a run folder: by file, the fingerprints of the questions that training saw."""
_LENGTH = 16  # hexadecimal digits: two of a million questions agree by chance once in ten million data sets


def keep_seen(run_dir: Path, files: Sequence[Path]) -> None:
    """Writes which questions `files`, those of training and held-out, ask."""
    write_json(run_dir / SEEN_FILE, {str(path): sorted(_fingerprints(path)) for path in files})


def seen_questions(checkpoint: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """A sentence for each of `files` with questions that the run of `checkpoint` saw; none where it kept no list."""
    path = checkpoint.parent.parent / SEEN_FILE
    if not path.is_file():
        return ()
    seen = {name: set(prints) for name, prints in cast("dict[str, list[str]]", read_json(path)).items()}
    sentences: list[str] = []
    for file in files:
        asked = _fingerprints(file)
        shared = asked & set[str]().union(*seen.values())
        if shared:
            names = ", ".join(name for name, prints in seen.items() if prints & shared)
            sentences.append(
                f"{file}: {len(shared):,} of its {len(asked):,} questions are in the training data ({names}); "
                "figures on it do not say how good the model is on new questions."
            )
    return tuple(sentences)


def _fingerprints(path: Path) -> set[str]:
    rows = (cast("dict[str, Any]", parse(line.decode("utf-8-sig"))) for _, line in read_lines(path))
    return {text_hash(" ".join(_question(row).split()))[:_LENGTH] for row in rows}


def _question(row: dict[str, Any]) -> str:
    """As `FeedbackRecord.question` and `EditPair.question` say it of a record that was read; an edit's may be empty."""
    fields = read_turns(row, answer_at="responses")
    turns = [Message.model_validate(turn) for turn in fields.get("messages", ())]
    return opening(str(fields.get("prompt") or fields.get("original")), turns)
