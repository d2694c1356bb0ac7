"""The kinds of files that people bring, and what to do with each: how it is told, what it is, which command reads it.

Told by the keys of a record (RECORDS, the first that fits) or by the first lines (TEXTS). To add one: a row. Knows
nothing of files; `recognition` looks into them.
"""

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from spanwise.feedback.messages import FEEDBACK

_CONVERT = "spanwise feedback convert FILE --from {} --to spanwise -o marks.jsonl"
_PANDAS = "pandas.read_csv('FILE'{}).to_json('rows.jsonl', orient='records', lines=True, force_ascii=False)"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: how its records or lines are told, what it is in words, and what to do with it."""

    what: str
    remedy: str
    told_by: Callable[[Any], bool]
    name: str = ""
    """The format or kind of record by which our readers ask for it."""
    read_as: tuple[str, ...] = ()
    """What else our readers ask for that such a file may hold: then what is wrong is told record by record."""


def _has(*keys: str) -> Callable[[Any], bool]:
    """Told by keys that must all be there."""
    return lambda record: set(keys) <= set(record)


def _only(*keys: str, optional: Iterable[str] = ()) -> Callable[[Any], bool]:
    """Told by keys that must all be there, beside none but the optional ones."""
    return lambda record: set(keys) <= set(record) <= {*keys, *optional}


def _turns(key: str, role: str, text: str) -> Callable[[Any], bool]:
    """Told by a list of turns with these keys."""

    def told(record: Any) -> bool:
        turns = record.get(key)
        return (
            isinstance(turns, list)
            and bool(turns)
            and all(isinstance(turn, dict) and {role, text} <= set(cast("dict[str, Any]", turn)) for turn in turns)
        )

    return told


def _plain_turns(record: Any) -> bool:
    """Told by turns without feedback on them, which are no records of ours."""
    if not _turns("messages", "role", "content")(record):
        return False
    return not any(FEEDBACK & set(turn) for turn in record["messages"])


def _hh(record: Any) -> bool:
    return _has("chosen", "rejected")(record) and str(record["chosen"]).lstrip().startswith("Human:")


def _doccano(record: Any) -> bool:
    lists = [record.get(name) for name in ("label", "labels", "entities", "annotations")]
    return isinstance(record.get("text"), str) and any(isinstance(labels, list) and labels for labels in lists)


def _json_min(record: Any) -> bool:
    """Told by what Label Studio adds to the flat columns, or by labels that stand in a list of their own."""
    if "data" in record or "fields" in record:
        return False
    labels = record.get("label")
    first = labels[0] if isinstance(labels, list) and labels else None
    return bool({"annotation_id", "lead_time"} & set(record)) or (isinstance(first, dict) and "labels" in first)


_READ_PREFERENCES = (
    "`spanwise evaluate reward-bench` reads it, and `" + _CONVERT.format("trl-preference") + "` makes feedback of it"
)
_DATASET = {"id", "metadata", "meta", "source", "score", "margin", "subset"}
RECORDS = (
    Kind(
        "a file of feedback records of Spanwise",
        "`spanwise feedback`, `annotate import` and `reward train` read them",
        _has("responses", "prompt"),
        "spanwise",
    ),
    Kind("a file of edit pairs of Spanwise", "`spanwise edits` reads them", _has("original", "edited"), "pairs"),
    Kind(
        "a file of preferences of Anthropic's hh-rlhf (chosen and rejected dialogues)",
        "`" + _CONVERT.format("trl-preference") + "` makes feedback of them",
        _hh,
        "trl-preference",
    ),
    Kind("a TRL preference file (chosen, rejected)", _READ_PREFERENCES, _has("chosen", "rejected"), "trl-preference"),
    Kind(
        "a TRL stepwise file (completions, labels)",
        "Spanwise writes this format and does not read it: make each step labelled false a span of a feedback record",
        _has("completions", "labels"),
        "trl-stepwise",
    ),
    Kind(
        "a TRL file of unpaired labels (completion, label)",
        "a label of a whole answer says nothing of its parts, so Spanwise does not read it: use TRL's KTOTrainer, or "
        "mark the answers with `spanwise annotate import` after "
        "`jq -c '{id, prompt, responses: [{text: .completion}]}'`",
        _has("completion", "label"),
        "trl-unpaired",
    ),
    Kind(
        "a file of demonstrations (prompt, completion)",
        "`spanwise sft` reads them; for feedback on them, make a record of each with "
        "`jq -c '{id, prompt, responses: [{text: .completion}]}' FILE`",
        _has("prompt", "completion"),
        "demonstrations",
    ),
    Kind(
        "a file of chat messages (role, content)",
        "`spanwise sft` reads it where the assistant has the last turn, `spanwise generate` where it ends before; as "
        "feedback, each record needs an id, and `marked` and `spans` at the turn that they are about",
        _plain_turns,
        "messages",
        ("prompts", "demonstrations"),
    ),
    Kind(
        "a ShareGPT file (conversations: from, value)",
        "rename conversations to messages, from to role (human to user, gpt to assistant) and value to content, which "
        "`spanwise sft` reads",
        _turns("conversations", "from", "value"),
    ),
    Kind(
        "a file of conversations (role, content)",
        "rename conversation to messages, which `spanwise sft` reads",
        _turns("conversation", "role", "content"),
    ),
    Kind(
        "a batch of requests to OpenAI's API",
        "write prompt and answer of each request as a JSON object of their own",
        _has("custom_id", "body"),
    ),
    Kind(
        "a file of OpenAI's preferences (preferred_output, non_preferred_output)",
        "rename the columns to prompt, chosen and rejected with texts in them, then "
        "`" + _CONVERT.format("trl-preference") + "`",
        _has("preferred_output", "non_preferred_output"),
    ),
    Kind(
        "an Alpaca file (instruction, output)",
        "`spanwise evaluate win-rate --outputs FILE` reads it; for `spanwise sft`, write instruction and input as "
        "prompt and output as completion, one JSON object a line",
        _has("instruction", "output"),
        "alpaca",
    ),
    Kind(
        "a file of judgements in AlpacaEval's format (output_1, output_2)",
        "`spanwise evaluate win-rate --annotations FILE` reads them",
        _has("instruction", "output_1", "output_2"),
        "alpaca-annotations",
    ),
    Kind(
        "an UltraFeedback file (instruction, completions)",
        "write the better and the worse completion of each as chosen and rejected beside the prompt",
        _has("instruction", "completions"),
    ),
    Kind(
        "a file of Stanford Human Preferences (human_ref_A, human_ref_B)",
        "write history as prompt, and by labels the references as chosen and rejected",
        _has("human_ref_A", "human_ref_B"),
    ),
    Kind(
        "a PRM800K file (question, label)",
        "make each step rated -1 a span of a feedback record; Spanwise does not read this file",
        lambda record: isinstance(record.get("question"), dict) and isinstance(record.get("label"), dict),
    ),
    Kind(
        "Label Studio's JSON-MIN",
        "export the full JSON there and read that with --format label-studio (annotate: --from)",
        _json_min,
    ),
    Kind(
        "a file of Label Studio tasks",
        "`" + _CONVERT.format("label-studio") + "` makes feedback of it",
        lambda record: isinstance(record.get("data"), dict) and bool({"annotations", "predictions"} & set(record)),
        "label-studio",
    ),
    Kind(
        "a file of Argilla records",
        "`" + _CONVERT.format("argilla") + "` makes feedback of it",
        lambda record: isinstance(record.get("fields"), dict),
        "argilla",
    ),
    Kind(
        "a Thresh file (source, target, edits)",
        "`" + _CONVERT.format("thresh") + "` makes feedback of it, `spanwise edits validate FILE --format thresh` "
        "reads it as edits",
        _has("target", "edits"),
        "thresh",
    ),
    Kind(
        "a QA-Feedback file (prediction 1 to 4)",
        "`" + _CONVERT.format("qa-feedback") + "` makes feedback of it",
        _has("prediction 1"),
        "qa-feedback",
    ),
    Kind(
        "a Prodigy file (text, spans, _input_hash)",
        "write each as a line of text and label, [[start, end, name], ...], and read it with --format doccano "
        "--offsets code-points",
        _has("_input_hash"),
    ),
    Kind(
        "a doccano file (text, label)",
        "`" + _CONVERT.format("doccano") + "` makes feedback of it",
        _doccano,
        "doccano",
    ),
    Kind(
        "a file of answers that `spanwise generate` wrote (id, response)",
        "`spanwise evaluate` and `reward score` read them; for marks, make a record of each with "
        "`jq -c '{id, prompt, responses: [{text: .response}]}' FILE`",
        lambda record: isinstance(record.get("response"), str) and isinstance(record.get("id"), str),
        "responses",
    ),
    Kind(
        "a SQuAD-like file (question, context, answers)",
        "write question as prompt and each context as a passage, one JSON object a line",
        _has("question", "context", "answers"),
    ),
    Kind(
        "a file of plain texts (text)",
        "Spanwise needs to know what was asked: write prompt and completion, or a record with prompt and responses",
        _only("text", optional=_DATASET),
    ),
    Kind(
        "a file of prompts",
        "`spanwise generate` answers them; feedback, edits and demonstrations need an answer beside each",
        _only("prompt", optional=("id", "passages", "excerpt", "references", "metadata", "verbatim")),
        "prompts",
    ),
)


def _is_m2(lines: list[str]) -> bool:
    return lines[0].startswith("S ") and all(line.startswith(("S ", "A ")) for line in lines)


def _is_brat(lines: list[str]) -> bool:
    return all(re.match(r"(?:[TREAMN#*][^\t]*)\t\S", line) for line in lines) and any(
        re.match(r"T\d+\t\S+ \d+ \d+(?:;\d+ \d+)*\t", line) for line in lines
    )


def _is_tagged(lines: list[str]) -> bool:
    return all(len(line.split()) > 1 and re.fullmatch(r"O|[BIESLU]-\S+", line.split()[-1]) for line in lines)


def _table(delimiter: str) -> Callable[[list[str]], bool]:
    """Told by a first line of several names, and lines behind it with as many cells."""

    def told(lines: list[str]) -> bool:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            return False
        head = rows[0]
        names = len(head) > 1 and all(0 < len(name.strip()) <= 60 for name in head)
        return names and len(rows) > 1 and len(rows[1]) == len(head)

    return told


def _is_yaml(lines: list[str]) -> bool:
    return all(re.match(r"\s*(?:#|-\s|[A-Za-z_]\w*:(?:\s|$))", line) for line in lines) and ":" in lines[0]


TEXTS = (
    Kind(
        "a web page or XML, not a data file",
        "the address may have led to a page about the file, so download the file itself (on Hugging Face and GitHub: "
        "resolve or raw in the address, not blob)",
        lambda lines: bool(re.match(r"<(?:!doctype|html|\?xml|xmi:)", lines[0], re.IGNORECASE)),
    ),
    Kind(
        "an M2 file of grammatical errors",
        "apply its edits and write original and edited sentence as JSON lines (keys original, edited), which `spanwise "
        "edits` reads",
        _is_m2,
    ),
    Kind(
        "a file of brat's standoff annotations (.ann), without the text that they mark",
        'write each text with its T lines as {"text": ..., "label": [[start, end, name], ...]}, one a line, and read '
        "that with --format doccano --offsets code-points",
        _is_brat,
    ),
    Kind(
        "a file of tagged words (CoNLL, BIO)",
        'join the words to texts and write {"text": ..., "label": [[start, end, name], ...]}, one a line, which '
        "--format doccano reads",
        _is_tagged,
    ),
    Kind(
        "a CSV of toxic spans",
        "`" + _CONVERT.format("toxic-spans") + "` makes feedback of it",
        lambda lines: lines[0].lower().replace('"', "").split(",")[:2] == ["spans", "text"],
        "toxic-spans",
    ),
    Kind("a TSV table", "write it as JSON lines with " + _PANDAS.format(", sep='\\t'"), _table("\t")),
    Kind("a CSV table", "write it as JSON lines with " + _PANDAS.format(""), _table(","), "toxic-spans"),
    Kind("a CSV table with semicolons", "write it as JSON lines with " + _PANDAS.format(", sep=';'"), _table(";")),
    Kind("a YAML file, as configs are", "name a file of records; a config stands alone in its command", _is_yaml),
)
