"""The whole recipe at toy size: files in AlpacaFarm's layout, a tiny Llama, an editor that is a rule behind a socket.

    python -m recipes.xu2024.toy --out runs/xu2024_toy

A minute or two on one core, nothing downloaded. The answers are noise; every file and every step is the recipe's own.
"""

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from recipes.lib.toy import run_commands, save_llama
from recipes.xu2024.fetch import NAMES
from recipes.xu2024.prepare import prepare
from spanwise.core import write_text

RECIPE = Path(__file__).parent
SIZES = dict(zip(NAMES, (12, 8, 3, 18, 3), strict=True))
HELDOUT = 6
RIGHT, WRONG = "in Oslo", "on the moon"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    run(parser.parse_args().out)


def run(out: Path) -> None:
    """Every step of the recipe, in `out`."""
    save_llama(out / "llama", write_upstream(out / "upstream"))
    prepare(out / "upstream", out / "data", policy=str(out / "llama"), max_prompt_tokens=192, heldout=HELDOUT)
    with editor() as address:
        run_commands(_edits(out, address))
    run_commands(_training(out))
    judge = out / "judge.yaml"
    write_text(judge, f"kind: reward\nmodel: {out / 'sequence/checkpoints/best'}\nhead: preference\n")
    run_commands(_measuring(out, judge))


def _edits(out: Path, address: str) -> list[list[str]]:
    to = [f"endpoint={{provider: openai, model: toy, base_url: {address}}}", "endpoint.structured=false"]
    made = (("rejected.jsonl", "edits.jsonl"), ("heldout_rejected.jsonl", "heldout_edits.jsonl"))
    return [
        ["edits", "generate", f"{RECIPE / 'editor.yaml'}", *to, f"responses={out / 'data' / responses}",
         f"output={out / 'data' / edits}"]
        for responses, edits in made
    ]  # fmt: skip


def _training(out: Path) -> list[list[str]]:
    data, sft = out / "data", out / "sft/checkpoints/best"
    edits = [f"edits=[{data / 'edits.jsonl'}]", f"heldout=[{data / 'heldout_edits.jsonl'}]"]
    pairs = [f"data=[{data / 'preferences.jsonl'}]", f"heldout=[{data / 'heldout_preferences.jsonl'}]"]
    small = [
        "steps=1", "rollout.prompts_per_step=2", "rollout.samples_per_prompt=2", "update.minibatch_size=4",
        "sampling.max_new_tokens=12", "evaluation.max_prompts=2", "evaluation.logged_samples=1", "dtype=float32",
        "value_warmup_steps=0", f"policy={sft}", f"prompts={data / 'prompts.jsonl'}",
        f"heldout={data / 'heldout_prompts.jsonl'}",
    ]  # fmt: skip
    rewards = {"reward": edits, "mended_reward": edits, "sequence": pairs}
    runs = {"rl": ("edits", "reward"), "mended": ("edits", "mended_reward"), "sequence_rl": ("answers", "sequence")}
    return [
        ["sft", f"{RECIPE / 'sft.yaml'}", f"policy={out / 'llama'}", f"demonstrations={data / 'demonstrations.jsonl'}",
         f"heldout={data / 'heldout_demonstrations.jsonl'}", f"run_dir={out / 'sft'}", "epochs=1", "dtype=float32"],
        *(
            ["reward", "train", f"{RECIPE / f'{name}.yaml'}", *files, f"backbone={sft}", f"run_dir={out / name}"]
            for name, files in rewards.items()
        ),
        *(
            ["rl", f"{RECIPE / f'{name}.yaml'}", *small, f"run_dir={out / name}",
             f"reward_models.{use}.checkpoint={out / reward / 'checkpoints/best'}"]
            for name, (use, reward) in runs.items()
        ),
    ]  # fmt: skip


def _measuring(out: Path, judge: Path) -> list[list[str]]:
    data, answers = out / "data", out / "answers.jsonl"
    runs = [f"{out / name}" for name in ("rl", "mended", "sequence_rl")]
    asked = f"{data / 'evaluation_prompts.jsonl'}"
    return [
        ["generate", f"{RECIPE / 'generate.yaml'}", f"policy={out / 'mended/checkpoints/best'}", f"prompts={asked}",
         f"output={answers}", "sampling={max_new_tokens: 12, min_new_tokens: 4}", "dtype=float32"],
        ["evaluate", "win-rate", "--outputs", f"{answers}", "--reference", f"{data / 'reference.json'}", "--prompts",
         asked, "--judge", f"{judge}", "--output", f"{out / 'win_rate'}", "--resamples", "0"],
        ["report", *runs, "--output", f"{out / 'report.html'}"],
    ]  # fmt: skip


@contextmanager
def editor() -> Iterator[str]:
    """The address of an endpoint that speaks OpenAI's protocol and mends one mistake; it stops with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Editor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Editor(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = request["messages"][-1]["content"].split("Answer to correct:\n", 1)[-1].strip()
        content = f"<edited>{answer.replace(WRONG, RIGHT)}</edited>"
        reply = {
            "id": "toy",
            "object": "chat.completion",
            "created": 0,
            "model": "toy",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Says nothing."""


def write_upstream(folder: Path) -> list[str]:
    """AlpacaFarm's files with few rows; their texts."""
    makers = {"alpaca_human_preference.json": _pair, "alpaca_farm_evaluation.json": _judged}
    for name, count in SIZES.items():
        made = [makers.get(name, _instruction)(number) for number in range(count)]
        write_text(folder / name, json.dumps(made))
    return [(folder / name).read_text(encoding="utf-8") for name in NAMES]


def _instruction(number: int) -> dict[str, Any]:
    given = "Ada is a mason." if number % 2 else ""
    return {
        "instruction": f"Say in one sentence where person {number} lives and works.",
        "input": given,
        "output": f"Person {number} lives and works {RIGHT} all year round.",
    }


def _pair(number: int) -> dict[str, Any]:
    row = _instruction(number)
    good, bad = row.pop("output"), f"Person {number} lives and works {WRONG} all year round."
    first = number % 2 == 0
    return {
        **row,
        "output_1": good if first else bad,
        "output_2": bad if first else good,
        "preference": 1 if first else 2,
    }


def _judged(number: int) -> dict[str, Any]:
    return {**_instruction(number), "generator": "text_davinci_003", "dataset": "selfinstruct", "datasplit": "eval"}


if __name__ == "__main__":
    main()
