"""Writes what the recipe's configs read, from AlpacaFarm's files under their upstream names.

    python -m recipes.xu2024.prepare --data runs/xu2024/upstream --out runs/xu2024/data --policy huggyllama/llama-7b

An instruction becomes the prompt, its input a passage; the template of sft.yaml puts both where AlpacaFarm does. The
rejected answer of each human pair goes to the editor, the chosen one to nobody (Xu et al. 2024, section 2.1). Prompts
of more than 192 tokens are left out of RL, as AlpacaFarm does.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from recipes.lib.upstream import content_of, found
from spanwise.core import DataError, write_json, write_jsonl
from spanwise.feedback import (
    DemonstrationRecord,
    FeedbackRecord,
    Passage,
    Preference,
    PromptConfig,
    PromptRecord,
    Response,
    write_records,
)
from spanwise.setup import Lengths, examine_model

HELDOUT_PAIRS = 500
"""AlpacaFarm holds out so many pairs."""
HELDOUT_DEMONSTRATIONS = 500
CONFIG = Path(__file__).with_name("sft.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of AlpacaFarm's files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files that the configs read")
    parser.add_argument("--policy", required=True, help="the policy, whose tokenizer counts")
    parser.add_argument("--max-prompt-tokens", type=int, default=192, help="longest prompt in RL")
    options = parser.parse_args()
    prepare(options.data, options.out, policy=options.policy, max_prompt_tokens=options.max_prompt_tokens)


def prepare(data: Path, out: Path, *, policy: str, max_prompt_tokens: int, heldout: int = HELDOUT_PAIRS) -> None:
    """Every file in `out`; DataError that names an upstream file which is missing or has another layout."""
    form = PromptConfig.from_values(yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["prompt"], place=str(CONFIG))
    lengths = Lengths(examine_model(policy), form)

    def fits(record: PromptRecord) -> bool:
        return lengths.prompt(record) <= max_prompt_tokens

    taught = [demonstration(row, f"sft-{n}") for n, row in enumerate(rows(data, "alpaca_instructions/sft.json"))]
    taught = [record for record in taught if record is not None]
    kept = min(HELDOUT_DEMONSTRATIONS, len(taught) // 10 + 1)
    pairs = [preference(row, f"pair-{n}") for n, row in enumerate(rows(data, "alpaca_human_preference.json"))]
    unlabeled, val, judged = (
        [prompt(row, f"{label}-{n}") for n, row in enumerate(rows(data, name))]
        for label, name in (
            ("rl", "alpaca_instructions/unlabeled.json"),
            ("val", "alpaca_instructions/val.json"),
            ("eval", "alpaca_farm_evaluation.json"),
        )
    )
    written: dict[str, Sequence[Any]] = {
        "demonstrations.jsonl": taught[kept:],
        "heldout_demonstrations.jsonl": taught[:kept],
        "preferences.jsonl": pairs[:-heldout],
        "heldout_preferences.jsonl": pairs[-heldout:],
        "prompts.jsonl": [record for record in unlabeled if fits(record)],
        "heldout_prompts.jsonl": [record for record in val if fits(record)],
        "evaluation_prompts.jsonl": judged,
    }
    for name, records in written.items():
        write_records(out / name, records)
        print(f"{out / name}: {len(records)} records")
    write_jsonl(out / "rejected.jsonl", _rejected(pairs[:-heldout]))
    write_jsonl(out / "heldout_rejected.jsonl", _rejected(pairs[-heldout:]))
    write_json(out / "reference.json", _reference(rows(data, "alpaca_farm_evaluation.json")))
    left_out = len(unlabeled) + len(val) - len(written["prompts.jsonl"]) - len(written["heldout_prompts.jsonl"])
    print(f"{left_out} prompts of more than {max_prompt_tokens} tokens are left out.")


def rows(data: Path, name: str) -> list[dict[str, Any]]:
    """The rows of an upstream file, which is one JSON list."""
    path = found(data / name)
    if path is None:
        raise DataError(f"{data / name}: is not there; `python -m recipes.xu2024.fetch --out {data}` gets it.")
    value = json.loads(content_of(path))
    if not isinstance(value, list) or not all("instruction" in row for row in value):
        raise DataError(f"{path}: is no list of rows with an instruction; fetch it again.")
    return value


def prompt(row: dict[str, Any], name: str) -> PromptRecord:
    """An instruction, with its input as a passage."""
    return PromptRecord(id=name, prompt=row["instruction"], passages=_input(row))


def demonstration(row: dict[str, Any], name: str) -> DemonstrationRecord | None:
    """With the answer to imitate; None where it is empty, as a few of Alpaca's are."""
    if not row["output"].strip():
        return None
    return DemonstrationRecord(id=name, prompt=row["instruction"], passages=_input(row), completion=row["output"])


def preference(row: dict[str, Any], name: str) -> FeedbackRecord:
    """Two answers and which one people preferred."""
    return FeedbackRecord(
        id=name,
        prompt=row["instruction"],
        passages=_input(row),
        responses=(Response(text=row["output_1"]), Response(text=row["output_2"])),
        preferences=(Preference(first=0, second=1, winner="first" if row["preference"] == 1 else "second"),),
    )


def _input(row: dict[str, Any]) -> tuple[Passage, ...]:
    text = str(row.get("input") or "").strip()
    return (Passage(title="Input", sentences=(text,)),) if text else ()


def _rejected(pairs: Iterable[FeedbackRecord]) -> Iterator[dict[str, Any]]:
    """What the editor reads: the answer of each pair that people did not prefer."""
    for record in pairs:
        worse = record.responses[1 if record.preferences[0].winner == "first" else 0].text
        if worse.strip():
            asked = record.model_dump(mode="json", include={"id", "prompt", "passages"})
            yield {**asked, "response": worse}


def _reference(evaluation: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Davinci003's answers in the form of generated ones, joined to the prompts by their ids."""
    return [
        {"id": f"eval-{n}", "prompt": row["instruction"], "response": row["output"], "truncated": False}
        for n, row in enumerate(evaluation)
    ]


if __name__ == "__main__":
    main()
