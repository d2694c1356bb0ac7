"""Small files of other tools and data sets, laid out as these lay theirs out, with texts of our own.

ROWS holds JSON values by format, TEXTS files that are none; FINISHED says of a value how many of its answers a person
or a judge is known to have gone through, so that more clean ones would be invented.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ASKED = [{"role": "user", "content": "When was the dam closed?"}]
TEXT = "The dam of Lund was closed in 1931 for a year."
FIRST, SECOND = "It was closed in 1931.", "It was never closed."
_TALK = "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: When was the dam closed?\n\nAssistant: {}"
_RATED = {"helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 2}
_JUDGED = (
    "[System]\nJudge.\n\n[User Question]\nWhen?\n\n[The Start of Assistant A's Answer]\n{}\n[The End of Assistant A's "
    "Answer]\n\n[The Start of Assistant B's Answer]\n{}\n[The End of Assistant B's Answer]"
)


def _aspects(helpful: str) -> dict[str, Any]:
    return {"helpfulness": {"Type": ["1"], "Rating": helpful, "Rationale": "Why."}, "honesty": {"Rating": "N/A"}}


def _talk(answer: str, second: str) -> list[dict[str, str]]:
    asked = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": answer}]
    return [*asked, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": second}]


def _step(*rated: tuple[str, int | None], chosen: int | None = 0, human: Any = None) -> dict[str, Any]:
    completions = [{"text": text, "rating": rating, "flagged": None} for text, rating in rated]
    return {"completions": completions, "human_completion": human, "chosen_completion": chosen}


ROWS: dict[str, list[dict[str, Any]]] = {
    "trl-completion": [
        {"prompt": "When?", "completion": FIRST, "source": "ours"},
        {"prompt": ASKED, "completion": [{"role": "assistant", "content": FIRST}]},
        {"messages": [*ASKED, {"role": "assistant", "content": SECOND}]},
    ],
    "trl-unpaired": [
        {"prompt": "When?", "completion": FIRST, "label": True},
        {"prompt": ASKED, "completion": [{"role": "assistant", "content": SECOND}], "label": False},
    ],
    "trl-stepwise": [
        {"prompt": "2 + 2 * 2?", "completions": ["2 * 2 = 4.", "2 + 4 = 7.\n\nSo it is 7."], "labels": [True, False]},
        {"prompt": "1 + 1?", "completions": ["It is 2.", "Done."], "labels": [True, True]},
        {"prompt": "1 + 2?", "completions": ["It is 3.", "Done."], "labels": [True, None]},
    ],
    "hh-rlhf": [{"chosen": _TALK.format(FIRST), "rejected": _TALK.format(SECOND)}],
    "sharegpt": [
        {"id": "c1", "system": "Be short.", "conversations": [
            {"from": "human", "value": "When?"}, {"from": "gpt", "value": FIRST}]},
        {"conversations": [{"from": "human", "value": "When?"}], "chosen": {"from": "gpt", "value": FIRST},
         "rejected": {"from": "gpt", "value": SECOND}},
        {"conversations": [{"from": "human", "value": "When?"}, {"from": "gpt", "value": SECOND}], "kto_tag": False},
    ],
    "alpaca": [
        {"instruction": "Say when.", "input": "The dam.", "output": FIRST},
        {"instruction": "Say when.", "input": "", "chosen": FIRST, "rejected": SECOND},
        {"instruction": "And why?", "output": SECOND, "history": [["When?", FIRST]], "kto_tag": True},
    ],
    "ultrafeedback": [
        {"source": "ours", "instruction": "When?", "models": ["a", "b"], "correct_answers": ["None"],
         "incorrect_answers": ["None"], "completions": [
            {"model": "a", "response": FIRST, "annotations": _aspects("5"), "critique": "Good.", "principle": "honesty",
             "custom_system_prompt": "Be honest.", "overall_score": 8.0, "fine-grained_score": 5.0},
            {"model": "b", "response": SECOND, "annotations": _aspects("1"), "critique": "Wrong.",
             "overall_score": 10.0, "fine-grained_score": 1.0}]},
    ],
    "helpsteer": [
        {"prompt": "When?", "response": FIRST, **_RATED},
        {"prompt": "When?", "response": SECOND, **_RATED, "helpfulness": 1},
        {"split": "train", "prompt": "When?", "response_1": FIRST, "response_2": SECOND, "preference_strength": -2,
         "preference_statement": "The first is right."},
        {"domain": "general", "language": "english", "context": ASKED, "response1": SECOND, "response2": FIRST,
         "overall_preference": 3, "individual_preference": [{"score": 3, "reasoning": "Right.", "feedback1": "No.",
                                                              "feedback2": "Yes."}]},
        {"domain": "general", "language": "english", "context": ASKED, "original_response": SECOND,
         "edited_response": FIRST, "feedback": ["It was closed."], "change_summary": "The year."},
        {"context": ASKED, "good_edited_response": FIRST, "bad_edited_response": SECOND, "original_response": "No."},
        {"domain": "general", "language": "english", "context": ASKED, "response": FIRST, "principle": "names the year",
         "fulfilment": "Yes"},
    ],
    "prm800k": [
        {"labeler": "u1", "timestamp": "2023-01-01", "generation": None, "is_quality_control_question": False,
         "question": {"problem": "2 + 2 * 2?", "ground_truth_answer": "6", "pre_generated_steps": ["2 * 2 = 4."]},
         "label": {"steps": [_step(("2 * 2 = 4.", 1), ("2 + 2 = 4.", -1)),
                             _step(("2 + 4 = 7.", -1), ("Now I add.", 0), chosen=None)],
                   "total_time": 1, "finish_reason": "found_error"}},
        {"labeler": "u2", "question": {"problem": "1 + 1?", "ground_truth_answer": "2"},
         "label": {"steps": [_step(("It is 3.", -1), chosen=None, human={"text": "It is 2.", "rating": None})],
                   "finish_reason": "solution"}},
    ],
    "math-shepherd": [
        {"input": "How many? Step 1: 2 * 2 = 4. \u043a\u0438\nStep 2: 2 + 4 = 7. The answer is: 7 \u043a\u0438",
         "label": "How many? Step 1: 2 * 2 = 4. +\nStep 2: 2 + 4 = 7. The answer is: 7 -", "task": "GSM8K"},
    ],
    "ragtruth": [
        {"id": "1", "source_id": "s", "model": "m", "temperature": 0.7, "split": "train", "quality": "good",
         "labels": [{"start": 30, "end": 34, "text": "1931", "meta": "It was 1932.", "label_type": "Evident Conflict",
                     "implicit_true": False, "due_to_null": False}], "response": TEXT},
        {"id": "2", "source_id": "s", "model": "m", "labels": [], "response": FIRST},
        {"prompt": "When?", "answer": TEXT, "labels": [{"start": 4, "end": 7, "label": "baseless"}], "split": "test"},
    ],
    "felm": [
        {"index": "0", "source": "ours", "prompt": "When?", "response": TEXT + " " + FIRST, "ref": ["r"],
         "segmented_response": [TEXT, FIRST], "labels": [False, True], "comment": ["It was 1932.", ""],
         "type": ["knowledge_error", None]},
        {"index": "1", "source": "ours", "prompt": "When?", "response": FIRST, "segmented_response": [FIRST],
         "labels": [True], "comment": [""], "type": [None], "ref": [""]},
    ],
    "halueval": [
        {"ID": "1", "user_query": "When?", "chatgpt_response": TEXT, "hallucination": "yes",
         "hallucination_spans": ["closed in 1931"]},
        {"ID": "2", "user_query": "When?", "chatgpt_response": FIRST, "hallucination": "no", "hallucination_spans": []},
        {"knowledge": TEXT, "question": "When?", "right_answer": FIRST, "hallucinated_answer": SECOND},
        {"knowledge": TEXT, "dialogue_history": "[Human]: When?", "right_response": FIRST,
         "hallucinated_response": SECOND},
        {"document": TEXT, "right_summary": FIRST, "hallucinated_summary": SECOND},
    ],
    "mt-bench": [
        {"question_id": 81, "model_a": "a", "model_b": "b", "winner": "model_a", "judge": "expert_0", "turn": 1,
         "conversation_a": _talk(FIRST, "So."), "conversation_b": _talk(SECOND, "No.")},
        {"question_id": 81, "model_a": "a", "model_b": "b", "winner": "tie", "judge": "author_1", "turn": 2,
         "conversation_a": _talk(FIRST, "So."), "conversation_b": _talk(FIRST, "No.")},
        {"question_id": 81, "model_1": "a", "model_2": "b", "g1_winner": "model_1", "g2_winner": "model_1",
         "judge": ["gpt-4", "pair-v2"], "g1_user_prompt": _JUDGED.format(FIRST, SECOND), "g1_judgment": "[[A]]",
         "g2_user_prompt": _JUDGED.format(SECOND, FIRST), "g2_judgment": "[[B]]", "turn": 1, "tstamp": 1.0},
        {"question_id": 81, "model": "a", "judge": ["gpt-4", "single-v1"], "score": 8, "turn": 1, "judgment": "[[8]]",
         "user_prompt": f"[Instruction]\nGrade.\n\n[Question]\nWhen?\n\n[The Start of Assistant's Answer]\n{FIRST}\n"
                        "[The End of Assistant's Answer]"},
    ],
    "label-studio-min": [
        {"id": 1, "annotation_id": 7, "annotator": 1, "created_at": "2026", "updated_at": "2026", "lead_time": 3.5,
         "prompt": "When?", "text": TEXT,
         "label": [{"start": 30, "end": 34, "text": "1931", "labels": ["Wrong"]}], "rating": [{"rating": 3}],
         "correction": TEXT.replace("1931", "1932")},
        {"id": 2, "annotation_id": 8, "annotator": 1, "lead_time": 3.5, "text": FIRST},
    ],
    "prodigy": [
        {"text": TEXT, "spans": [{"start": 30, "end": 34, "token_start": 7, "token_end": 7, "label": "Wrong"}],
         "tokens": [{"text": "The", "start": 0, "end": 3, "id": 0, "ws": True}], "meta": {"prompt": "When?"},
         "_input_hash": 1, "_task_hash": 2, "_view_id": "spans_manual", "answer": "accept", "_timestamp": 3,
         "_annotator_id": "db-ann", "_session_id": "db-ann"},
        {"text": FIRST, "spans": [], "_input_hash": 4, "_view_id": "ner_manual", "answer": "accept"},
        {"text": SECOND, "spans": [], "_input_hash": 5, "_view_id": "ner_manual", "answer": "ignore"},
    ],
}  # fmt: skip

_HEAD = "system\tdoc\tdoc_id\tseg_id\trater\tsource\ttarget\tcategory\tseverity\n"
_QUOTES = ("factuality", "irrelevance", "incomplete_ans", "reference_example")
_COLUMNS = [
    "source_file", "annotator", "question_text", "ans1_text", "ans2_text", "ans_preference", "ans1_label",
    "ans2_label", "ques_misconception_span", "reference_example_helpful",
    *(f"{aspect}_{part}" for aspect in _QUOTES for part in ("span", "reason", "label")),
]  # fmt: skip


def _table(**cells: str) -> str:
    return "\t".join(cells.get(name, "") for name in _COLUMNS)


TEXTS = {
    "mqm": _HEAD
    + f"a\td\t1\t1\tr1\t大坝。\t{TEXT.replace('1931', '<v>1931</v>')}\tAccuracy/Mistranslation\tMajor\n"
    + f"a\td\t1\t1\tr1\t大坝。\t{TEXT.replace('closed', '<v>closed</v>')}\tStyle/Awkward\tMinor\n"
    + f"a\td\t1\t1\tr2\t<v>大坝</v>。\t{TEXT}\tAccuracy/Omission\tMajor\n"
    + f"b\td\t1\t1\tr1\t大坝。\t{FIRST}\tNo-error\tNo-error\n",
    "m2": "S The dam have been close .\nA 2 3|||R:VERB:SVA|||has|||REQUIRED|||-NONE-|||0\n"
    "A 4 5|||R:VERB:FORM|||closed|||REQUIRED|||-NONE-|||0\nA 1 2|||R:NOUN|||dike|||REQUIRED|||-NONE-|||1\n\n"
    "S All is well .\nA -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||0\n\nS It was is here now\n"
    "A 2 3|||U:VERB||||||REQUIRED|||-NONE-|||0\nA 5 5|||M:PUNCT|||.|||REQUIRED|||-NONE-|||0\n\nS Nobody read this .\n",
    "haluquestqa": "\t".join(_COLUMNS) + "\n" + _table(
        source_file="q1.txt", annotator="u1", question_text="When was it closed?", ans1_text=TEXT, ans2_text=SECOND,
        ans_preference="Answer 1", ans1_label="human_answer", ans2_label="model_answer",
        factuality_span="['Closed in 1931']", factuality_reason="['It was 1932.']", factuality_label="['answer1']",
        reference_example_span="['It was never closed.']", reference_example_reason="['Helps.']",
        reference_example_label="['answer2']", reference_example_helpful="[True]",
    ) + "\n",
    "webanno": "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue\n"
    "#T_SP=webanno.custom.Error|category|comment\n#T_RL=webanno.custom.Link|BT_webanno.custom.Error\n\n\n"
    "#Text=\U0001f600 The dam of\n#Text=Lund .\n1-1\t0-2\t\U0001f600\t_\t*\t*\t_\n"
    "1-2\t3-6\tThe\tDT\tWrong[1]\tno\\_one[1]\t_\n"
    "1-3\t7-10\tdam\t_\tWrong[1]|Odd[2]\tno\\_one[1]|*[2]\t1-1\n1-4\t11-13\tof\t_\tOdd[2]\t*[2]\t_\n"
    "1-5\t14-18\tLund\t_\t_\t_\t_\n1-5.1\t14-15\tL\t_\tCase\t*\t_\n1-6\t19-20\t.\t_\t_\t_\t_\n\n"
    "#Text=It was .\n2-1\t21-23\tIt\t_\t_\t_\t_\n2-2\t24-27\twas\t_\tWrong\t*\t_\n2-3\t28-29\t.\t_\t_\t_\t_\n",
    "inline": "The dam {~~have~>has~~} been {--was --}closed.\n"
    "It was [-close-]{+closed+} in {==1931==}{>>Why?<<}.\nFine.\n",
}  # fmt: skip
"""Files that hold no JSON."""
DOCUMENTS: dict[str, dict[str, Any]] = {
    "uima-cas": json.loads((Path(__file__).parent / "cas.json").read_text()),
}
"""JSON files that hold one value each; the first as dkpro-cassis 0.12.0 wrote it."""
FOLDERS = ("brat", "potato")
"""Formats that are folders of files, which `written` writes."""
POTATO = """\
task_dir: .
annotation_task_name: answers
data_files: [items.jsonl]
item_properties: {id_key: id, text_key: text}
output_annotation_dir: annotation_output
annotation_schemes:
  - {annotation_type: span, name: errors, description: Mark., labels: [Wrong, Odd], allow_discontinuous: true}
  - {annotation_type: radio, name: good, description: Is it good, labels: ["yes", "no"]}
"""
POTATO_ITEMS = [
    {"id": "a", "text": " The  dam of \U0001f600 Lund was closed. ", "prompt": "When?", "source": "ours"},
    {"id": "b", "text": "Nobody read this."}, {"id": "c", "text": "Two read this."},
]  # fmt: skip


def written(form: str, folder: Path) -> Path:
    """The file of a format, written into the folder."""
    path = folder / f"foreign.{form}"
    if form == "brat":
        path.mkdir()
        (path / "a.txt").write_text("The dam of Lund\nwas closed.\n")
        lines = "T1\tWrong 4 7;16 19\tdam was\nA1\tSure T1\n#1\tAnnotatorNotes T1\tIt was not.\nT2\tPlace 11 15\tLund\n"
        (path / "a.ann").write_text(lines)
        (path / "b.txt").write_text(FIRST)
        (path / "b.ann").write_text("")
    elif form == "potato":
        path.mkdir()
        _potato(path)
    elif form in TEXTS:
        path.write_text(TEXTS[form])
    elif form in DOCUMENTS:
        path.write_text(json.dumps(DOCUMENTS[form]))
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS[form]))
    return path


def _potato(folder: Path) -> None:
    """A project in which one person marked two items and another marked one and answered a question."""

    def span(name: str, start: int, end: int, **more: Any) -> list[Any]:
        return [
            {"schema": "errors", "name": name, "title": name, "start": start, "end": end, "id": name, **more},
            "true",
        ]

    (folder / "config.yaml").write_text(POTATO)
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in POTATO_ITEMS))
    pieces = [{"start": 22, "end": 28, "text": "closed"}]
    states: dict[str, dict[str, Any]] = {
        "u1": {"a": [span("Wrong", 13, 17), span("Odd", 4, 7, additional_parts=pieces)], "c": [span("Odd", 0, 3)]},
        "u2": {"c": [span("Wrong", 4, 8)]},
    }
    for person, spans in states.items():
        (folder / "annotation_output" / person).mkdir(parents=True)
        labels = {"b": [[{"schema": "good", "name": "no"}, "true"]]} if person == "u2" else {}
        state = {
            "user_id": person, "instance_id_to_label_to_value": labels, "instance_id_to_span_to_value": spans,
            "instance_id_to_link_to_value": {}, "instance_id_to_event_to_value": {},
        }  # fmt: skip
        (folder / "annotation_output" / person / "user_state.json").write_text(json.dumps(state, indent=2))


def _rated(row: Any) -> int:
    """Rated steps of PRM800K; a step that a person wrote counts."""
    steps = row["label"]["steps"]
    return sum(len(step.get("completions") or ()) + bool(step.get("human_completion")) for step in steps)


FINISHED: dict[str, Callable[[Any], int]] = {
    "trl-stepwise": lambda row: int(any(label is not None for label in row["labels"])),
    "prm800k": _rated,
    "math-shepherd": lambda row: 1,
    "ragtruth": lambda row: int(isinstance(row["labels"], list)),
    "felm": lambda row: int(bool(row["labels"]) and None not in row["labels"]),
    "halueval": lambda row: int(str(row.get("hallucination")).strip().lower() == "no"),
    "prodigy": lambda row: int(row.get("answer") == "accept" and "manual" in str(row.get("_view_id"))),
}


def finished(form: str, value: Any) -> int:
    """How many answers of a value somebody is known to have gone through; none where it is damaged."""
    try:
        return FINISHED[form](value) if form in FINISHED else 0
    except (TypeError, KeyError, AttributeError, ValueError):
        return 0
