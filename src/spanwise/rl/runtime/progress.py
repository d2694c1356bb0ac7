"""Shows a run while it works: a bar with the main figures in a terminal, one line per evaluation elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@runtime_checkable
class ProgressView(Protocol):
    """What the trainer tells whoever watches."""

    def stepped(self, step: int, metrics: Mapping[str, float]) -> None:
        """A training step is done."""
        ...

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """An evaluation is done."""
        ...

    def noted(self, sentence: str) -> None:
        """Something happened that whoever watches should know."""
        ...


class NoProgress:
    """Shows nothing."""

    def stepped(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows nothing."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows nothing."""

    def noted(self, sentence: str) -> None:
        """Shows nothing."""


class ConsoleProgress:
    """A rich progress bar on standard error; use it as a context manager."""

    def __init__(self, steps: int, *, label: str = "rl", console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(
            *columns, TextColumn("{task.fields[figures]}"), console=self._console, disable=not self._console.is_terminal
        )
        self._label = label
        self._task = self._bar.add_task(label, total=steps, figures="")

    def __enter__(self) -> "ConsoleProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stepped(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar and shows reward, KL and length of the step."""
        self._bar.update(self._task, completed=step, figures=_figures(metrics, ""))

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Prints one line with the held-out figures."""
        self._console.print(f"{self._label} step {step}: held-out {_figures(metrics, 'eval/')}", highlight=False)

    def noted(self, sentence: str) -> None:
        """Prints the sentence."""
        self._console.print(f"{self._label}: {sentence}", highlight=False, markup=False)


def _figures(metrics: Mapping[str, float], prefix: str) -> str:
    shown = {"reward": "reward/total", "kl": "kl/response", "length": "response/length"}
    parts = [f"{label} {metrics[prefix + name]:.3g}" for label, name in shown.items() if prefix + name in metrics]
    return "  ".join(parts)
