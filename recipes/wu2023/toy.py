"""The whole recipe at toy size: files in the authors' layout, tiny models, every config with its steps cut down.

    python -m recipes.wu2023.toy --out runs/wu2023_toy

A minute or two on one core, nothing downloaded. The answers are noise; every file and every step is the recipe's own.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from recipes.lib.toy import run_commands, save_longformer, save_t5
from recipes.wu2023.fetch import BLOBS
from recipes.wu2023.prepare import prepare

RECIPE = Path(__file__).parent
NAMES = ("Ada Veld", "Ines Korr", "Tom Brack", "Lia Stern", "Max Oren", "Eva Lund")
TOWNS = ("Oslo", "Bergen", "Lund", "Kiel", "Riga")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    run(parser.parse_args().out)


def run(out: Path) -> None:
    """Every step of the recipe, in `out`."""
    texts = write_upstream(out / "upstream")
    save_t5(out / "t5", texts)
    save_longformer(out / "longformer", texts)
    prepare(out / "upstream", out / "data", policy=str(out / "t5"), max_prompt_tokens=1024)
    run_commands(commands(out))


def commands(out: Path) -> list[list[str]]:
    """The recipe's commands, with toy models, folders and sizes in place of its own."""
    data, fit = out / "data", ["fitting.epochs=1", "fitting.batch_size=8", f"backbone={out / 'longformer'}"]
    answers = ["sft/checkpoints/best", "rel/checkpoints/best", "fact/checkpoints/best", "comp/checkpoints/best"]
    sft, rel, fact, comp = (out / name for name in answers)
    marks = [f"data=[{data / 'train_feedback.jsonl'}]", f"heldout=[{data / 'dev_feedback.jsonl'}]", "max_length=512"]
    small = [
        "steps=1", "rollout.prompts_per_step=2", "sampling.max_new_tokens=12", "evaluation.max_prompts=2",
        "evaluation.logged_samples=1", "dtype=float32", f"policy={sft}", f"prompts={data / 'prompts.jsonl'}",
        f"heldout={data / 'dev_prompts.jsonl'}",
    ]  # fmt: skip
    three = [f"reward_models.{name}.checkpoint={path}" for name, path in (("rel", rel), ("fact", fact), ("comp", comp))]
    empty = [
        "mixture.sources.relevance.missing=mask",
        "mixture.sources.factuality.missing=mask",
    ]  # random models may say nothing
    preference = [f"reward_models.pref.checkpoint={out / 'pref/checkpoints/best'}"]
    return [
        [
            "sft", f"{RECIPE / 'sft.yaml'}", f"policy={out / 't5'}", f"demonstrations={data / 'demonstrations.jsonl'}",
            f"heldout={data / 'dev_demonstrations.jsonl'}", f"run_dir={out / 'sft'}", "epochs=1", "rouge_prompts=2",
            "max_response_tokens=64", "dtype=float32",
        ],
        *(
            ["reward", "train", f"{RECIPE / f'{name}.yaml'}", *marks, *fit, f"run_dir={out / name}"]
            for name in ("rel", "fact", "comp", "pref")
        ),
        ["rl", f"{RECIPE / 'rl.yaml'}", *small, *three, *empty, f"run_dir={out / 'rl'}"],
        ["rl", f"{RECIPE / 'preference.yaml'}", *small, *preference, f"run_dir={out / 'preference'}"],
        [
            "rl", f"{RECIPE / 'mended.yaml'}", *small, *three, "value_warmup_steps=0", "update.minibatch_size=8",
            f"run_dir={out / 'mended'}",
        ],
        [
            "evaluate", f"{RECIPE / 'evaluate.yaml'}", f"prompts={data / 'test_prompts.jsonl'}",
            f"policy={out / 'mended/checkpoints/best'}", f"reward_models=[{rel}, {fact}, {comp}]",
            "answering.sampling.max_new_tokens=12", f"free_rivals.policy={sft}",
            f"free_rivals.validation={data / 'dev_prompts.jsonl'}", "resamples=100", f"output={out / 'evaluation'}",
        ],
        ["report", f"{out / 'rl'}", f"{out / 'mended'}", "--output", f"{out / 'report.html'}"],
    ]  # fmt: skip


def write_upstream(folder: Path) -> list[str]:
    """The authors' six files with few items; their texts."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"train.json": 8, "train_1k.json": 6, "dev.json": 2, "test.json": 2}
    for number, name in enumerate(sizes):
        items = [_demonstration(100 * number + i) for i in range(sizes[name])]
        (folder / name).write_text(json.dumps(items), encoding="utf-8")
    for name, first, count in (("train_feedback.json", 0, 12), ("dev_feedback.json", 200, 6)):
        items = [_feedback(first + i) for i in range(count)]
        (folder / name).write_text(json.dumps(items), encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == set(BLOBS)
    return [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())]


def _subject(number: int) -> tuple[str, str, str]:
    name = NAMES[number % len(NAMES)]
    return name, TOWNS[number % len(TOWNS)], f"Where was {name} born, and what happened in {1800 + number}?"


def _sentences(number: int) -> list[str]:
    name, town, _ = _subject(number)
    return [
        f"{name} was born in {town}.",
        f"In {1800 + number} {name} built a mill of wood.",
        "The mill burned down twice.",
    ]


def _demonstration(number: int) -> dict[str, Any]:
    name, _, question = _subject(number)
    content = " ".join(_sentences(number))
    return {
        "text": f"question: {question} context: wikipage: {name} text: {content}",
        "question": question,
        "passages": [{"wikipage": name, "content": content}],
        "answer": [" ".join(_sentences(number)[:2])],
    }


def _feedback(number: int) -> dict[str, Any]:
    name, _, question = _subject(number)
    first, second, third = _sentences(number)
    wrong = TOWNS[(number + 1) % len(TOWNS)]
    idle = f"The weather in {wrong} is mild in all seasons."
    answer = f"{name} was born in {wrong}. {idle} {second}" if number % 2 else f"{first} {second}"
    errors = [_error(answer, wrong, "Wrong-Grounding"), _error(answer, idle, "Irrelevant")] if number % 2 else []
    missing = [{"error type": "Missing-Answer", "passage_id": 1, "sentence_id": [3]}]
    return {
        "question": question,
        "passages": [[name, first, second, third]],
        "gold": f"{first} {second}",
        "prediction 1": answer,
        "prediction 2": first,
        "prediction 3": f"{first} {second} {third}",
        "prediction 4": f"Nobody knows where {name} was born.",
        "feedback": {
            "errors": errors,
            "missing-info": missing,
            "corrected-prediction": f"{first} {second} {third}",
        },
        "preference": [2, 2, 1, 2, 1, 1] if number % 2 else [1, 2, 1, 2, 1, 0],
    }


def _error(answer: str, marked: str, category: str) -> dict[str, Any]:
    start = answer.index(marked)
    evidence = json.dumps({"passage_id": 1, "sentence_id": [1]}) if category == "Wrong-Grounding" else ""
    return {"error type": category, "explanation": evidence, "start": start, "end": start + len(marked)}


if __name__ == "__main__":
    main()
