"""What a project folder holds besides data: commented configs, run.sh, a notebook and a README.

A comment in a config is the field's own sentence, or what was decided for this project. Knows nothing of models.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import yaml

from spanwise.core import Config, field_rows
from spanwise.evals.metrics import EvaluateConfig
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
from spanwise.rl import RLConfig
from spanwise.setup.plan import Plan
from spanwise.training import SFTRunConfig

COMMANDS = {
    "sft.yaml": "spanwise sft sft.yaml",
    "reward.yaml": "spanwise reward train reward.yaml",
    "rl.yaml": "spanwise rl rl.yaml",
    "evaluate.yaml": "spanwise evaluate evaluate.yaml",
}
"""What runs each config."""
PURPOSES = {
    "sft.yaml": "Fine-tunes the model on answers worth imitating, so that it answers in this task's manner.",
    "reward.yaml": "Learns from your marks which parts of an answer are right, one head for each category.",
    "rl.yaml": "Trains the model by PPO with those rewards on the parts of its own answers.",
    "evaluate.yaml": "Compares answers before and after on held-out prompts, with what costs nothing beside them.",
}
NOTES = {
    "reward.yaml": {
        "heads": "Your own categories, one head each; custom says which marks make a segment wrong for it.",
        "custom": "density is the unit that is judged (sub-sentence, sentence, paragraph or sequence); a segment is "
        "wrong where a span of categories touches it. min_span_words overlooks short spans.",
        "features": "Also count simple things (position, length, overlap with question and passages): from some "
        "hundred answers heads learn most from these.",
        "layers": "Only the first layers of the backbone are read, which is quicker and mostly as good.",
        "fitting": "linear fits the heads exactly on the frozen backbone. With a GPU and some thousand marked answers, "
        "method: gradient (without layers) trains the backbone as well.",
        "backbone": "What reads the answers; any encoder or decoder. An encoder of some million weights will do.",
        "test": "Read by `spanwise reward evaluate reward.yaml` alone: questions that training never sees.",
    },
    "rl.yaml": {
        "mixture": "How much each head counts; weight: 0 switches it off. center is its mean over your marked "
        "answers, so that one more part as good as usual earns nothing; raise it where answers grow. aggregate: mean "
        "pays the mean over the parts of an answer; missing: mask leaves out what cannot be scored.",
        "rollout": "What each step samples; more answers a step make steadier and slower steps.",
        "sampling": "How answers are drawn; max_new_tokens is room for nearly all answers of your file.",
        "update": "How often and in what pieces the answers of a step are learnt from.",
        "policy_optimizer": "Small models want higher rates; lower this one when the KL jumps.",
        "value_optimizer": "The value model learns from nothing and may learn faster.",
        "steps": "Each samples answers, scores them and learns from them. Give more while the held-out reward rises.",
        "kl": "The higher, the nearer the policy stays to where it began. Raise it when answers turn strange.",
        "evaluation": "How often and on how many held-out prompts the policy is measured; the best is kept.",
        "lora": "Trains an adapter, for the model has billions of weights; without this section all weights.",
    },
    "evaluate.yaml": {
        "mixture": "As in rl.yaml. The judge is the reward model that training went by: read some answers yourself.",
        "free_rivals": "The policy before RL, decoded greedily, at a lower temperature and as best of 4: what costs no "
        "training. Only what beats these is called better.",
    },
}
"""Why a value is as it is, in place of the field's own sentence."""


def config_class(name: str, plan: Plan) -> type[Config]:
    """The class that reads a config of the project."""
    classes: dict[str, type[Config]] = {
        "sft.yaml": SFTRunConfig,
        "reward.yaml": TokenRewardConfig if plan.reads_edits else RewardModelConfig,
        "rl.yaml": RLConfig,
        "evaluate.yaml": EvaluateConfig,
    }
    return classes[name]


def config_page(name: str, plan: Plan) -> str:
    """One config as YAML with a comment at every setting; raises ConfigError if its own class refuses it."""
    model, values = config_class(name, plan), plan.settings[name]
    model.from_values(dict(values), place=name)
    sentences = {key: sentence for key, _, _, sentence in field_rows(model)}
    sentences |= {key: (field.description or "") for key, field in model.model_fields.items() if key not in sentences}
    sentences |= NOTES.get(name, {})
    head = [
        PURPOSES[name],
        f"Run in this folder: {COMMANDS[name]}",
        f"Every other setting and its default: {COMMANDS[name].removesuffix(f' {name}')} --help",
    ]
    return "\n".join([*_comment(head, ""), "", *_settings(values, sentences, "")]) + "\n"


def run_script(plan: Plan) -> str:
    """run.sh: all steps in order; what is done already is not done again, and nothing is removed."""
    steps = [f"step {name.removesuffix('.yaml'):9}{COMMANDS[name]}" for name in plan.settings]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            "# All steps of this project, in order. Started again, it goes on behind the last step that was done.",
            "set -euo pipefail",
            'cd "$(dirname "${BASH_SOURCE[0]}")"',
            "mkdir -p runs",
            "",
            "step() {  # NAME COMMAND...: runs the command once; what a broken-off run left behind is put aside",
            '  local name=$1 done="runs/$1.done"',
            "  shift",
            '  if [ -e "$done" ]; then echo "== $name: done before"; return; fi',
            '  if [ -e "runs/$name" ] && [ "$name" != rl ]; then mv "runs/$name" "runs/$name.broken.$(date +%s)"; fi',
            '  echo "== $name: $*"',
            '  "$@"',
            '  touch "$done"',
            "}",
            "",
            "spanwise feedback validate data/feedback.jsonl",
            "spanwise feedback validate data/heldout_feedback.jsonl",
            *steps,
            'echo "== Now: spanwise report $PWD/runs/rl $PWD/runs/evaluation --output report.html"',
            "",
        ]
    )


def notebook(plan: Plan) -> str:
    """The same steps in Python, cell by cell, as a Jupyter notebook; it reads the same configs."""
    cells = [*_notebook_cells(plan)]
    return json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "id": f"cell-{i}", "metadata": {}, "source": text}
                if kind == "markdown"
                else {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": text, "outputs": [],
                      "execution_count": None}
                for i, (kind, text) in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
        indent=1,
        ensure_ascii=False,
    )  # fmt: skip


def _notebook_cells(plan: Plan) -> Iterator[tuple[str, str]]:
    yield (
        "markdown",
        "# From marks to a better model\n\nRun in this folder. Steps that `run.sh` did are not done again.",
    )
    yield (
        "code",
        _code(
            """
        from pathlib import Path

        import yaml

        import spanwise as sw


        def settings(name):
            return yaml.safe_load(Path(name).read_text(encoding="utf-8"))
        """
        ),
    )
    yield "markdown", "## The marks"
    yield (
        "code",
        _code(
            """
        records = sw.load_feedback("data/feedback.jsonl")
        sw.describe(records).as_dict()
        """
        ),
    )
    if "sft.yaml" in plan.settings:
        yield "markdown", "## Fine-tuning on demonstrations"
        yield (
            "code",
            _code(
                """
            sft = settings("sft.yaml")
            if not Path(sft["run_dir"], "checkpoints", "best").exists():
                sw.train_sft(sft.pop("policy"), sft.pop("demonstrations"), sft.pop("heldout"), **sft)
            """
            ),
        )
    yield "markdown", "## The reward model"
    yield "code", _code(_TOKEN_CELL if plan.reads_edits else _SEGMENT_CELL)
    yield "markdown", "## PPO with rewards on parts of answers"
    yield (
        "code",
        _code(
            """
        rl = settings("rl.yaml")
        del rl["reward_models"]
        if not Path(rl["run_dir"], "checkpoints", "best").exists():
            weights = rl.pop("mixture")["sources"]
            policy, prompts, heldout = rl.pop("policy"), rl.pop("prompts"), rl.pop("heldout")
            sw.train_policy(policy, "runs/reward/checkpoints/best", prompts, heldout, weights=weights, **rl)
        sw.write_report([Path("runs/rl")], Path("report.html"))
        """
        ),
    )


_SEGMENT_CELL = """
reward = settings("reward.yaml")
run_dir = Path(reward["run_dir"])
if not (run_dir / "checkpoints" / "best").exists():
    del reward["data"], reward["test"]
    sw.RewardModel.train(records, reward.pop("backbone"), **reward)
model = sw.RewardModel.from_pretrained(run_dir / "checkpoints" / "best")
heldout = sw.load_feedback("data/heldout_feedback.jsonl")[0]
sample = sw.Sample(heldout.prompt, heldout.responses[0].text, passages=heldout.passages)
for source in model.sources():
    for score in source.score([sample])[0].scores:
        print(source.name, score.value, repr(score.span.of(sample.response)))
"""
_TOKEN_CELL = """
import subprocess

if not Path("runs/reward/checkpoints/best").exists():
    subprocess.run(["spanwise", "reward", "train", "reward.yaml"], check=True)
"""


def readme(source: str, plan: Plan, timing: Sequence[str], left_out: int) -> str:
    """README.md: what lies where, what was decided, and how long it will take."""
    lines = [
        "# A project of Spanwise",
        f"Made by `spanwise init` from {source}.",
        "    bash run.sh\n    spanwise report runs/rl runs/evaluation --output report.html",
        "`spanwise doctor *.yaml` says beforehand whether this machine and these files are ready. Every setting stands "
        "with its sentence in the configs; `notebook.ipynb` does the same steps in Python.",
        "## Steps",
        "\n".join(f"- `{COMMANDS[name]}`: {PURPOSES[name]}" for name in plan.settings),
        "## What was decided",
        "\n".join(f"- {sentence}" for sentence in plan.said) or "Nothing but defaults.",
        "## How long it will take here",
        "\n".join(f"- {sentence}" for sentence in timing),
        "## Data",
        "\n".join(f"- `data/{name}`: {len(records)} records" for name, records in plan.files.items()),
    ]
    if left_out:
        lines.append(f"`data/left_out.txt` lists {left_out} problems of records that could not be read.")
    return "\n\n".join(lines) + "\n"


def _settings(values: Mapping[str, Any], sentences: Mapping[str, str], prefix: str) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in sentences:
            yield from _comment([sentences[name]], indent)
        if isinstance(value, dict) and any(row.startswith(f"{name}.") for row in sentences):
            yield f"{indent}{key}:"
            yield from _settings(cast("dict[str, Any]", value), sentences, f"{name}.")
        else:
            yield textwrap.indent(_line(key, value), indent)
        if not prefix:
            yield ""


def _line(key: str, value: Any) -> str:
    """One setting as YAML: lists in brackets, mappings below each other."""
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 10**6}
    if isinstance(value, list):
        return f"{key}: {yaml.safe_dump(value, default_flow_style=True, **options)}".rstrip("\n")
    flow = None if isinstance(value, dict) else False
    return yaml.safe_dump({key: value}, default_flow_style=flow, **options).rstrip("\n")


def _comment(sentences: Sequence[str], indent: str) -> Iterator[str]:
    for sentence in sentences:
        for line in textwrap.wrap(" ".join(sentence.split()), 100):
            yield f"{indent}# {line}"


def _code(text: str) -> str:
    return textwrap.dedent(text).strip()
