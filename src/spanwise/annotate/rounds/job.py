"""The change of rounds as a job beside the server: whether it runs, what it is at, how it ended.

The command `spanwise annotate round` writes its state to a file as it goes and holds a lock while it works. The server
starts the command and reads both, so that it is never held up; one that ends meanwhile ends nothing, and one that
begins later knows. Knows nothing of what the stages do.
"""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

from spanwise.annotate.people import User, require
from spanwise.annotate.rounds.rounds import COMMAND, LOG, Stage, last_lines
from spanwise.annotate.store import Clock, stamp, utc_now
from spanwise.core import ConfigError, DataError, read_json, take_lock, write_json
from spanwise.feedback import Record

DESCRIPTION = "round.yaml"
DATABASE_VARIABLE = "SPANWISE_DATABASE"
_FOLDER, _STATE, _LOCK, _COMMAND_LOG = "rounds", "state.json", ".lock", "command.log"
_SHOWN_LINES = 12


class RoundState(Record):
    """How the last change of rounds stands."""

    state: Literal["idle", "running", "done", "failed"]
    round: int | None = None
    """The round that is being closed, or was."""
    stage: Stage | None = None
    said: str = ""
    """How it ended, or why it failed."""
    at: str | None = None
    log: tuple[str, ...] = ()
    """The last lines of what its commands said."""
    ready: bool = False
    """Whether the project says how: it has a round.yaml."""


class Diary:
    """What the running command writes down for whoever asks."""

    def __init__(self, project: Path, round_number: int, *, clock: Clock = utc_now) -> None:
        self._folder, self._round, self._clock = project / _FOLDER, round_number, clock
        self._stage: Stage | None = None

    def begin(self, stage: Stage) -> None:
        """A stage begins."""
        self._stage = stage
        self._write("running")

    def done(self, said: str) -> None:
        """All is done."""
        self._write("done", said)

    def failed(self, said: str) -> None:
        """It ended early."""
        self._write("failed", said)

    def _write(self, state: str, message: str = "") -> None:
        told = {"state": state, "round": self._round, "stage": self._stage, "said": message}
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / _STATE, told | {"at": stamp(self._clock())})


@contextlib.contextmanager
def only_one(project: Path) -> Generator[None]:
    """Holds the project's lock for closing rounds; raises ConfigError when somebody else has it."""
    (project / _FOLDER).mkdir(parents=True, exist_ok=True)
    with (project / _FOLDER / _LOCK).open("ab") as lock:
        for _ in range(20):  # a server that only asks holds it for a moment
            if take_lock(lock):
                break
            time.sleep(0.1)
        else:
            raise ConfigError(f"A round of {project} is being closed already; wait until it is done.")
        yield


class RoundJob:
    """Starts the command for one project and says how it stands."""

    def __init__(self, project: Path, *, database: str | None = None) -> None:
        self._project, self._database = project, database
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def start(self, round_number: int, *, by: User) -> None:
        """Starts the command; raises DataError when it runs already, ConfigError when the project does not say how."""
        require(by, "manage")
        with self._turn:
            now = self.state()
            if not now.ready:
                raise ConfigError(f"There is no {DESCRIPTION} in the project's folder; it says how a round is closed.")
            if now.state == "running":
                raise DataError("The round is being closed already; wait until it is done.")
            Diary(self._project, round_number).begin("export")
            command = [*COMMAND, "annotate", "round", f"--by={by.name}", "--", str(self._project), str(self._config)]
            database = {DATABASE_VARIABLE: self._database} if self._database else {}
            with (self._folder / _COMMAND_LOG).open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | database,
                    start_new_session=True,  # Ctrl+C ends the server, not the training
                )
            threading.Thread(target=self._process.wait, daemon=True).start()  # so that it leaves no trace when it ends

    def state(self) -> RoundState:
        """How the last change of rounds stands."""
        ready = self._config.exists()
        if not (self._folder / _STATE).exists():
            return RoundState(state="idle", ready=ready)
        runs = self._runs()  # asked first: what has ended by now has written down how
        told: dict[str, Any] = read_json(self._folder / _STATE)
        if told["state"] == "running" and not runs:
            last = last_lines(self._folder / _COMMAND_LOG, 1)
            told |= {"state": "failed", "said": last[0] if last else _INTERRUPTED}
        log = last_lines(self._folder / f"round-{told['round']}" / LOG, _SHOWN_LINES)
        return RoundState(ready=ready, log=log, **told)

    @property
    def _folder(self) -> Path:
        return self._project / _FOLDER

    @property
    def _config(self) -> Path:
        return self._project / DESCRIPTION

    def _runs(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        if not (self._folder / _LOCK).exists():
            return False
        with (self._folder / _LOCK).open("ab") as lock:
            return not take_lock(lock)


_INTERRUPTED = "It was interrupted; start it again, and it goes on where it stopped."
