"""Writes docs/results/performance.md from benchmarks/results/*.json.

    python benchmarks/performance_page.py

Every table stands under the command, machine and date that are in its file; what was not measured yet is said. What
was tried is kept by hand in benchmarks/tried.md and put at the page's end.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, TRIED = HERE / "results", HERE / "tried.md"
PAGE = HERE.parent / "docs" / "results" / "performance.md"
STEPS = [f"ppo_step_{dtype}_{lengths}" for dtype in ("bf16", "fp32") for lengths in ("full", "natural")]
OPENING = """# Performance

What a PPO step costs in seconds and memory, beside TRL 1.12.0 (the last release whose PPO trainer still ran), and
where the time goes. Made by `make bench`, or table by table by the command above each, and then
`python benchmarks/performance_page.py`; the numbers are in `benchmarks/results/`. Ratios are of one run on one
machine: both sides run one after the other, each in a process of its own.
"""
STEP = """## A PPO step beside TRL

A random Llama of 15 million parameters (hidden 288, 6 layers, vocabulary 32,000, tied), 64 prompts of 128 tokens, 128
new tokens, 4 epochs of one minibatch in micro-batches of 16, separate value and reward models of the same size.
`full`: all answers run to their full length; `natural`: they stop by themselves after 40 % of it on average, and
prompts are of varied length. With `--micro-batch-tokens` ours reads at most that many tokens at a time, rows of like
length together: less padding and less memory, the same gradients.
"""
PHASES = """## Where the time goes

Tokens per second and share of the best matrix product measured on the machine, counted on useful FLOPs: what is
computed again in the backward pass does not count. `reference` holds the reference's log-probabilities and the values.
"""
STUDY = """## A step of the study on the simulated world

A Llama of a million parameters on rewards of the oracle, CPU milliseconds an answer on one thread. `former`: 16 prompts
x 4 answers, two epochs, a value model of its own. `present`: 12 prompts x 8 answers, one epoch of three minibatches,
the value head on the policy's states. Both with this version of the code, one step of each in turn.
"""
CURVE = """The mean reward of the answers to new prompts in each eighth of the episodes, both sides from one policy
at the same learning rate and KL coefficient:
"""
MEMORY = """## Memory of the roles

Weights, gradients and optimiser moments of all roles between steps, in GB and in weights of one model; the peak of a
step in GB and in peaks of one model alone (the first row: a policy with an adapter, no values, no reward model). Ways
that name no reward model have none: their reward costs nothing. A reward model by itself is in float32.
"""


def load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def source(found: dict[str, Any]) -> list[str]:
    """The command of a table, and on which machine and when it ran."""
    extras = ", ".join(found["instructions"]) or "none of avx512f, avx512_bf16, amx_bf16"
    return [
        f"    {found['command']}",
        "",
        f"{found['processor']} ({extras}), {found['threads']} threads of {found['cores']} cores, torch "
        f"{found['torch']}, transformers {found['transformers']}, commit {found['commit']}, {found['date']}.",
        "",
    ]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def missing(name: str) -> list[str]:
    return [f"Not measured yet (`benchmarks/results/{name}.json` is absent).", ""]


def step_section() -> list[str]:
    lines = [STEP]
    for name in [*STEPS, *sorted(p.stem for p in RESULTS.glob("ppo_step_*.json") if p.stem not in STEPS)]:
        found = load(name)
        title = name.removeprefix("ppo_step_").replace("_", ", ")
        lines += [f"### {title}", ""]
        if found is None:
            lines += missing(name)
            continue
        rows = [["Spanwise", *figures(found, "ours")]]
        if "peer" in found:
            rows.append([found["peer"].replace("==", " ").replace("trl", "TRL"), *figures(found, "peer")])
            times = [f"{found['peer' + key] / found['ours' + key]:.2f} times" for key in ("_s", "_cpu_s", "_peak_gb")]
            rows.append(["ratio", *times])
        lines += source(found) + table(["", "seconds per step", "CPU seconds", "peak GB"], rows)
        phases = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in found["phases"].items())
        lines += [f"Phases of ours: {phases}; {found['tokens_per_response']:.1f} tokens per answer.", ""]
    return lines


def figures(found: dict[str, Any], side: str) -> list[str]:
    return [f"{found[f'{side}{key}']:.2f}" for key in ("_s", "_cpu_s", "_peak_gb")]


def phase_section() -> list[str]:
    lines = [PHASES]
    for name in ("ppo_phases_bf16", "ppo_phases_fp32", "ppo_phases_bf16_compiled"):
        found = load(name)
        lines += [f"### {name.removeprefix('ppo_phases_').replace('_', ', ')}", ""]
        if found is None:
            lines += missing(name)
            continue
        rows = [
            [phase, f"{row['seconds']:.2f}", f"{row['tokens_per_s']:,.0f}", f"{row['gflops']:.0f}",
             f"{row['share_of_peak']:.0%}"]
            for phase, row in found["phases"].items()
        ]  # fmt: skip
        lines += source(found) + table(["phase", "seconds", "tokens/s", "GFLOP/s", "of the peak"], rows)
        lines += [f"Peak: {found['peak_gflops']:.0f} GFLOP/s.", ""]
    return lines


def study_section() -> list[str]:
    lines, step, curve = [STUDY], load("study_step"), load("study_curve")
    if step is None:
        lines += missing("study_step")
    else:
        phases = list(step["sides"]["present"]["ms_per_answer"])
        rows = [
            [name, str(side["answers"]), f"{side['tokens_per_answer']:.0f}"]
            + [f"{side['ms_per_answer'][phase]:.1f}" for phase in phases]
            for name, side in step["sides"].items()
        ]
        lines += source(step) + table(["settings", "answers a step", "tokens an answer", *phases], rows)
        lines += [f"Answers per CPU second: {step['ratio']:.2f} times as many.", ""]
    lines += [CURVE]
    if curve is None:
        return lines + missing("study_curve")
    rows = [
        [name, f"{side['episodes']:,}", f"{side['cpu_s']:.0f}", *(f"{reward:.2f}" for reward in side["reward"])]
        for name, side in curve["curves"].items()
    ]
    numbers = [str(number + 1) for number in range(len(rows[0]) - 3)]
    return lines + source(curve) + table(["settings", "episodes", "CPU seconds", *numbers], rows)


def growth_section() -> list[str]:
    lines = ["## Growth", "", "One size doubled at a time; memory beyond what the process held before its models.", ""]
    found = load("ppo_growth")
    if found is None:
        return lines + missing("ppo_growth")
    rows = [
        [row["grows"], f"{row['size']:,}", f"{row['seconds']:.2f}", f"{row['cpu_s']:.2f}", f"{row['gb']:.2f}"]
        for row in found["rows"]
    ]
    return lines + source(found) + table(["grows", "to", "seconds", "CPU seconds", "GB"], rows)


def memory_section() -> list[str]:
    lines = [MEMORY]
    found = load("ppo_memory")
    if found is None:
        return lines + missing("ppo_memory")
    rows = [
        [way, *(f"{row[key]:.3f}" for key in ("held_gb", "held_in_weights", "peak_gb", "peak_in_one_model"))]
        for way, row in found["rows"].items()
    ]
    titles = ["way", "held GB", "in weights of one model", "peak of a step GB", "in peaks of one model"]
    return lines + source(found) + table(titles, rows)


def reward_section() -> list[str]:
    lines = ["## The reward path", "", "Model and text side together, CPU milliseconds per answer on one thread.", ""]
    found = load("reward_path")
    if found is None:
        return lines + missing("reward_path")
    rows = [[name, f"{value:.2f}"] for name, value in found["ms_per_answer"].items()]
    title = f"{found['sources']} sources, {found['words']} words"
    return lines + source(found) + table([title, "ms per answer"], rows)


def main() -> None:
    sections = [step_section, phase_section, study_section, growth_section, memory_section, reward_section]
    lines = [OPENING, *(line for section in sections for line in section())]
    PAGE.write_text("\n".join(lines) + "\n" + TRIED.read_text())


if __name__ == "__main__":
    main()
