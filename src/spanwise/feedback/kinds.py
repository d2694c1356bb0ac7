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
_TABLE = "`spanwise feedback convert FILE marks.jsonl --from table` makes feedback of its rows"


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
    whole: bool = False
    """Whether a file is one such record, on one line or on many."""


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


_HALUCINATED = ("hallucinated_answer", "hallucinated_response", "hallucinated_summary")


def _shepherd(record: Any) -> bool:
    return _has("input", "label")(record) and "\u043a\u0438" in str(record["input"])


def _grounded(record: Any) -> bool:
    """Told by an answer with a list of labels that have a start and an end."""
    labels = record.get("labels")
    answer = any(isinstance(record.get(name), str) for name in ("response", "answer", "output"))
    told = isinstance(labels, list) and all(isinstance(label, dict) and "start" in label for label in labels)
    return answer and told and (bool(labels) or "source_id" in record)


def _solution(record: Any) -> bool:
    return isinstance(record.get("question"), dict) and isinstance(record.get("label"), dict)


def _converted(what: str, name: str, told_by: Callable[[Any], bool]) -> Kind:
    """A kind that is the format of that name."""
    return Kind(what, f"`{_CONVERT.format(name)}` makes feedback of it", told_by, name)


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
        "`" + _CONVERT.format("hh-rlhf") + "` makes feedback of them",
        _hh,
        "hh-rlhf",
        ("trl-preference",),
    ),
    Kind("a TRL preference file (chosen, rejected)", _READ_PREFERENCES, _has("chosen", "rejected"), "trl-preference"),
    Kind(
        "a TRL stepwise file (completions, labels)",
        "`" + _CONVERT.format("trl-stepwise") + "` makes marks of its steps",
        _has("completions", "labels"),
        "trl-stepwise",
    ),
    Kind(
        "a TRL file of unpaired labels (completion, label)",
        "`" + _CONVERT.format("trl-unpaired") + "` makes ratings of whole answers of them",
        _has("completion", "label"),
        "trl-unpaired",
    ),
    Kind(
        "a file of demonstrations (prompt, completion)",
        "`spanwise sft` reads them, and for feedback on them `" + _CONVERT.format("trl-completion") + "` makes records",
        _has("prompt", "completion"),
        "demonstrations",
        ("trl-completion",),
    ),
    Kind(
        "a file of chat messages (role, content)",
        "`spanwise sft` reads it where the assistant has the last turn, `spanwise generate` where it ends before; as "
        "feedback, each record needs an id, and `marked` and `spans` at the turn that they are about",
        _plain_turns,
        "messages",
        ("prompts", "demonstrations", "trl-completion"),
    ),
    Kind(
        "a ShareGPT file (conversations: from, value)",
        "`spanwise sft` reads it, and `" + _CONVERT.format("sharegpt") + "` makes records of its answers",
        _turns("conversations", "from", "value"),
        "sharegpt",
        ("prompts", "demonstrations"),
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
        "`spanwise sft` and `evaluate win-rate --outputs FILE` read it, and `" + _CONVERT.format("alpaca") + "` makes "
        "records of its answers",
        _has("instruction", "output"),
        "alpaca",
        ("prompts", "demonstrations"),
    ),
    Kind(
        "a file of judgements in AlpacaEval's format (output_1, output_2)",
        "`spanwise evaluate win-rate --annotations FILE` reads them",
        _has("instruction", "output_1", "output_2"),
        "alpaca-annotations",
    ),
    _converted("an UltraFeedback file (instruction, completions)", "ultrafeedback", _has("instruction", "completions")),
    _converted("a HelpSteer file (ratings)", "helpsteer", _has("response", "helpfulness", "correctness", "coherence")),
    _converted("a HelpSteer file of preferences", "helpsteer", _has("context", "response1", "response2")),
    _converted("a HelpSteer file of preferences", "helpsteer", _has("response_1", "response_2", "preference_strength")),
    _converted("a HelpSteer file of edits", "helpsteer", _has("context", "original_response", "edited_response")),
    _converted("a HelpSteer file of edits", "helpsteer", _has("good_edited_response", "bad_edited_response")),
    _converted("a Math-Shepherd file (input, label, task)", "math-shepherd", _shepherd),
    _converted("a RAGTruth file (response, labels)", "ragtruth", _grounded),
    _converted("a FELM file (segmented_response, labels)", "felm", _has("segmented_response", "labels")),
    _converted("a HaluEval file", "halueval", lambda record: any(name in record for name in _HALUCINATED)),
    _converted("a HaluEval file of answers", "halueval", _has("chatgpt_response", "hallucination")),
    _converted("a file of MT-Bench's judgements", "mt-bench", _has("question_id", "winner", "conversation_a")),
    _converted("a file of MT-Bench's judgements", "mt-bench", _has("question_id", "g1_winner", "g2_winner")),
    _converted("a file of MT-Bench's grades", "mt-bench", _has("question_id", "user_prompt", "judgment", "score")),
    Kind(
        "a file of Stanford Human Preferences (human_ref_A, human_ref_B)",
        "write history as prompt, and by labels the references as chosen and rejected",
        _has("human_ref_A", "human_ref_B"),
    ),
    _converted("a PRM800K file (question, label)", "prm800k", _solution),
    Kind(
        "Label Studio's JSON-MIN",
        "export the full JSON there, which says who finished, and read that with --format label-studio; or "
        "`" + _CONVERT.format("label-studio-min") + "` reads what is here",
        _json_min,
        "label-studio-min",
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
        "a document of UIMA (CAS JSON)",
        "`" + _CONVERT.format("uima-cas") + "` makes feedback of it",
        _has("%FEATURE_STRUCTURES"),
        "uima-cas",
        whole=True,
    ),
    Kind(
        "an export of Potato, which holds offsets without the text",
        "give the project's config to `" + _CONVERT.format("potato").replace("FILE", "config.yaml") + "`",
        _has("instance_id", "user_id", "spans"),
        "potato-export",
    ),
    _converted("a Prodigy file (text, spans, _input_hash)", "prodigy", _has("_input_hash")),
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


def _columns(delimiter: str, *names: str) -> Callable[[list[str]], bool]:
    """Told by a first line with these names among its own."""
    return lambda lines: set(names) <= {name.strip('"') for name in lines[0].split(delimiter)}


def _is_yaml(lines: list[str]) -> bool:
    return all(re.match(r"\s*(?:#|-\s|[A-Za-z_]\w*:(?:\s|$))", line) for line in lines) and ":" in lines[0]


TEXTS = (
    Kind(
        "a web page or XML, not a data file",
        "the address may have led to a page about the file, so download the file itself (on Hugging Face and GitHub: "
        "resolve or raw in the address, not blob)",
        lambda lines: bool(re.match(r"<(?:!doctype|html|\?xml|xmi:)", lines[0], re.IGNORECASE)),
    ),
    _converted("an M2 file of grammatical errors", "m2", _is_m2),
    _converted("a WebAnno TSV 3 file", "webanno", lambda lines: lines[0].startswith("#FORMAT=WebAnno TSV 3")),
    _converted(
        "the config of a Potato project", "potato", lambda lines: any(re.match("annotation_schemes:", x) for x in lines)
    ),
    Kind(
        "a file of brat's standoff annotations (.ann)",
        "with the .txt that it marks beside it, `" + _CONVERT.format("brat") + "` makes feedback of it",
        _is_brat,
        "brat",
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
    _converted("a TSV of MQM ratings", "mqm", _columns("\t", "system", "rater", "target", "category", "severity")),
    _converted("the table of HaluQuestQA", "haluquestqa", _columns("\t", "question_text", "ans1_text", "ans2_text")),
    Kind("a TSV table", _TABLE, _table("\t"), "table"),
    Kind("a CSV table", _TABLE, _table(","), "table", ("toxic-spans",)),
    Kind("a CSV table with semicolons", _TABLE, _table(";"), "table"),
    Kind("a YAML file, as configs are", "name a file of records; a config stands alone in its command", _is_yaml),
)
