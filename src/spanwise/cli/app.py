"""Joins the command groups and turns our errors into one sentence and exit code 2."""

import os
import sys

import typer

from spanwise.cli import annotate, dpo, edits, evaluate, feedback, generate, push, report, reward, rl, sft, sweep, text
from spanwise.cli.quickstart import quickstart
from spanwise.core import SpanwiseError

TRAINING_PACKAGES = frozenset(
    {
        "huggingface_hub",
        "jaxtyping",
        "jinja2",
        "matplotlib",
        "rapidfuzz",
        "rouge_score",
        "scipy",
        "sklearn",
        "tokenizers",
        "torch",
    }
    | {"transformers"}
)
"""What the extra `train` installs."""
ANNOTATION_PACKAGES = frozenset({"alembic", "argon2", "psycopg", "regex", "sqlalchemy", "starlette", "uvicorn"})
"""What the extra `annotate` installs."""
EDITOR_PACKAGES = frozenset({"anthropic", "openai"})
"""What the extra `editors` installs."""

app = typer.Typer(
    name="spanwise",
    help="Train language models from feedback on parts of their answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(name="quickstart")(quickstart)
app.add_typer(text.app, name="text")
app.add_typer(feedback.app, name="feedback")
app.add_typer(edits.app, name="edits")
app.add_typer(annotate.app, name="annotate")
app.add_typer(reward.app, name="reward")
app.add_typer(evaluate.app, name="evaluate")
for group in (sft, dpo, rl, sweep, generate, report, push):
    app.add_typer(group.app)


@app.callback()
def no_foreign_bars(ctx: typer.Context) -> None:
    """Keeps transformers from drawing bars of its own wherever weights are read or written; `push` shows uploads.

    By its environment variable, because importing it takes seconds that most commands need not spend. Who sets it to 0
    sees the bars.
    """
    if ctx.invoked_subcommand != "push":
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def main() -> None:
    """Runs the command line; errors of the user's making leave one sentence on stderr and exit code 2."""
    try:
        app()
    except SpanwiseError as error:
        sys.exit(_say(str(error)))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extras = {"train": TRAINING_PACKAGES, "annotate": ANNOTATION_PACKAGES, "editors": EDITOR_PACKAGES}
        extra = next((name for name, packages in extras.items() if package in packages), None)
        if extra is None:
            raise
        sys.exit(_say(f"This command needs {package}; install it with: pip install 'spanwise[{extra}]'"))


def _say(sentence: str) -> int:
    print(f"spanwise: {sentence}", file=sys.stderr)
    return 2
