"""`spanwise sft`, `dpo`, `rl` and `generate`: train a language model from a config, and have it answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.render import bar, left_out
from spanwise.cli.runner import Outcome, run_config
from spanwise.core import ConfigError, DataError

if TYPE_CHECKING:
    from spanwise.feedback import DemonstrationRecord
    from spanwise.models import GenerateConfig, Policy
    from spanwise.rl import RLConfig
    from spanwise.training import DPORunConfig, SFTRunConfig

app = typer.Typer()


@app.command(name="sft", cls=config_command("spanwise.training.config:SFTRunConfig"))
def sft(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Fine-tune a language model on demonstrations and keep the best checkpoint."""
    from spanwise.training import SFTRunConfig

    inputs = ("demonstrations", "heldout")
    run_config(SFTRunConfig, config, overrides, _sft, inputs=inputs, fresh=True, as_json=as_json)


@app.command(name="dpo", cls=config_command("spanwise.training.config:DPORunConfig"))
def dpo(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a language model on edit pairs by DPO with a positive term, or by weighted likelihood of the edits."""
    from spanwise.training import DPORunConfig

    inputs = ("pairs", "heldout")
    run_config(DPORunConfig, config, overrides, _dpo, inputs=inputs, fresh=True, as_json=as_json)


@app.command(name="rl", cls=config_command("spanwise.rl.config:RLConfig"))
def rl(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a policy by PPO with token-level rewards, and keep the checkpoint with the best held-out reward."""
    from spanwise.rl import RLConfig

    inputs = ("prompts", "heldout")
    run_config(RLConfig, config, overrides, _rl, inputs=inputs, says_device=False, as_json=as_json)


@app.command(name="generate", cls=config_command("spanwise.models.config:GenerateConfig"))
def generate(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Answer the prompts of a JSONL file with a language model."""
    from spanwise.models import GenerateConfig

    run_config(GenerateConfig, config, overrides, _generate, inputs=("prompts",), as_json=as_json)


def _sft(settings: "SFTRunConfig") -> Outcome:
    from spanwise.core import RunFolder
    from spanwise.feedback import DemonstrationRecord, load_or_raise

    demonstrations = load_or_raise(settings.demonstrations, DemonstrationRecord)
    heldout = load_or_raise(settings.heldout, DemonstrationRecord)
    from spanwise.models import Policy
    from spanwise.training import train_sft

    policy = Policy.load(settings.policy, device=settings.device)
    with bar() as progress:
        task = progress.add_task("sft", total=settings.steps(len(demonstrations)))

        def watch(step: int, metrics: Mapping[str, float]) -> None:
            progress.update(task, completed=step, description=f"sft  loss {metrics['sft/loss']:.3f}")
            if "heldout/loss" in metrics:
                figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in metrics if name.startswith("heldout/"))
                progress.console.print(f"sft step {step}: {figures}", highlight=False)

        result = train_sft(
            policy,
            demonstrations,
            heldout,
            config=settings,
            run=RunFolder(settings.run_dir),
            score=_rouge(heldout[: settings.rouge_prompts], settings) if settings.select_by == "rouge" else None,
            watch=watch,
        )
    score = "" if result.score is None else f", ROUGE-Lsum {result.score:.4f}"
    return Outcome(
        asdict(result),
        [
            f"Best after step {result.step}: held-out loss {result.heldout_loss:.4f}{score}.",
            f"The checkpoint is {result.checkpoint}.",
        ],
    )


def _rouge(records: "list[DemonstrationRecord]", settings: "SFTRunConfig") -> "Callable[[Policy], float]":
    """Mean ROUGE-Lsum of greedy answers against the demonstrations' completions and references."""
    from spanwise.evals.metrics import RougeLsum
    from spanwise.models import AnswerConfig, Sampling, answer_all

    rouge = RougeLsum()
    asked = AnswerConfig(
        sampling=Sampling(max_new_tokens=settings.max_response_tokens), max_prompt_tokens=settings.max_prompt_tokens
    )

    def score(policy: "Policy") -> float:
        answers = answer_all(policy, records, asked)
        values = [
            rouge(answer.response, (record.completion, *record.references))
            for record, answer in zip(records, answers, strict=True)
        ]
        known = [value for value in values if isinstance(value, float)]
        if not known:
            raise DataError("No held-out completion has a word that ROUGE reads; set select_by=loss.")
        return sum(known) / len(known)

    return score


def _dpo(settings: "DPORunConfig") -> Outcome:
    from spanwise.core import RunFolder
    from spanwise.feedback import EditPair, load_or_raise

    pairs = load_or_raise(settings.pairs, EditPair)
    heldout = load_or_raise(settings.heldout, EditPair)
    from spanwise.models import Policy
    from spanwise.training import train_dpo

    policy = Policy.load(settings.policy, device=settings.device)
    with bar() as progress:
        task = progress.add_task("dpo", total=settings.epochs * -(-len(pairs) // settings.batch_size))

        def watch(step: int, metrics: Mapping[str, float]) -> None:
            progress.update(task, completed=step, description=f"dpo  loss {metrics['dpo/loss']:.3f}")

        result = train_dpo(policy, pairs, heldout, config=settings, run=RunFolder(settings.run_dir), watch=watch)
    figures = result.heldout
    return Outcome(
        asdict(result),
        [
            f"Best after step {result.step}: held-out loss {figures['loss']:.4f}, accuracy {figures['accuracy']:.3f}, "
            f"log-ratio of the edits {figures['edited_logratio']:+.3f}, "
            f"of the originals {figures['original_logratio']:+.3f}.",
            *left_out(result.left_out),
            f"The checkpoint is {result.checkpoint}.",
        ],
    )


def _rl(settings: "RLConfig") -> Outcome:
    from spanwise.rl import train_policy
    from spanwise.rl.runtime import ConsoleProgress

    with ConsoleProgress(settings.steps) as progress:
        result = train_policy(settings, progress)
    checkpoints = settings.run_dir / "checkpoints"
    idle = result.best_step == 0
    from spanwise.evals.runs import NOTHING_LEARNED

    return Outcome(
        {
            "run_dir": settings.run_dir,
            "best_checkpoint": checkpoints / "best",
            "last_checkpoint": checkpoints / "last",
            "best_step": result.best_step,
            "learned_nothing": idle,
            "first_reward": result.first_reward,
            "best_reward": result.best_reward,
            "last_reward": result.last_reward,
        },
        [
            f"Held-out reward {result.first_reward:.3f} before, {result.best_reward:.3f} at its best (step "
            f"{result.best_step}), {result.last_reward:.3f} after step {settings.steps}.",
            *([f"{NOTHING_LEARNED.capitalize()}."] if idle else []),
            f"The best checkpoint is {checkpoints / 'best'}.",
        ],
    )


def _generate(settings: "GenerateConfig") -> Outcome:
    from spanwise.core import write_jsonl
    from spanwise.feedback import PromptRecord, load_or_raise

    if settings.output.exists():
        raise ConfigError(f"{settings.output}: is there already; remove it, or set output= to another file.")
    records = load_or_raise(settings.prompts, PromptRecord)
    from spanwise.models import Policy, answer_all, precision

    dtype = precision(settings.dtype, settings.device)
    policy = Policy.load(settings.policy, device=settings.device, dtype=dtype)
    truncated = 0
    with bar() as progress:
        answers = answer_all(policy, records, settings)
        shown = progress.track(answers, len(records) * settings.samples_per_prompt, description="generate")

        def rows() -> Iterator[dict[str, Any]]:
            nonlocal truncated
            for answer in shown:
                truncated += answer.truncated
                yield answer.model_dump()

        written = write_jsonl(settings.output, rows())
    summary = {"output": settings.output, "prompts": len(records), "answers": written, "truncated": truncated}
    lines = [f"Wrote {written:,} answers to {len(records):,} prompts into {settings.output}."]
    if truncated:
        lines.append(f"{truncated:,} of them ran into the limit of max_new_tokens.")
    return Outcome(summary, lines)
