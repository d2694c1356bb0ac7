"""Progress: silent but for evaluations where nobody watches, a bar with figures in a terminal."""

import io

from rich.console import Console

from spanwise.rl.runtime.progress import ConsoleProgress

STEP = {"reward/total": 1.234, "kl/response": 0.5, "response/length": 17.0}
EVALUATION = {f"eval/{name}": value for name, value in STEP.items()}


def shown(*, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
    with ConsoleProgress(3, label="dense", console=console) as progress:
        progress.evaluated(0, EVALUATION)
        progress.stepped(1, STEP)
    return console.file.getvalue()


def test_a_file_gets_one_line_per_evaluation_and_nothing_else():
    assert shown(terminal=False) == "dense step 0: held-out reward 1.23  kl 0.5  length 17\n"


def test_a_terminal_gets_a_bar_with_the_figures_of_the_step():
    text = shown(terminal=True)
    assert "dense step 0: held-out reward 1.23" in text
    assert "1/3" in text
    assert text.count("reward 1.23  kl 0.5  length 17") >= 2
