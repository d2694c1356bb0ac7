"""Joins the command groups and turns our errors into one sentence and exit code 2."""

import sys

import typer

from spanwise.cli import evaluate, feedback, generate, report, reward, rl, sft, text
from spanwise.cli.quickstart import quickstart
from spanwise.errors import SpanwiseError

TRAINING_PACKAGES = frozenset(
    {"jaxtyping", "jinja2", "matplotlib", "rapidfuzz", "rouge_score", "scipy", "sklearn", "torch", "transformers"}
)
"""What the extra `train` installs."""

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
app.add_typer(reward.app, name="reward")
for group in (sft, rl, generate, evaluate, report):
    app.add_typer(group.app)


def main() -> None:
    """Runs the command line; errors of the user's making leave one sentence on stderr and exit code 2."""
    try:
        app()
    except SpanwiseError as error:
        sys.exit(_say(str(error)))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in TRAINING_PACKAGES:
            raise
        sys.exit(_say(f"This command needs {error.name}; install it with: pip install 'spanwise[train]'"))


def _say(sentence: str) -> int:
    print(f"spanwise: {sentence}", file=sys.stderr)
    return 2
