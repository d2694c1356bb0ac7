"""Two runs never write into one folder; the lock goes with its process, however that ends."""

import os
import signal
import subprocess
import sys

import pytest

from spanwise.core.errors import DataError
from spanwise.core.runs import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from spanwise.core.runs import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_run_is_refused_with_the_first_ones_process(tmp_path):
    words = rf"another run \(process {os.getpid()}\) is writing here"
    with RunFolder(tmp_path).locked(), pytest.raises(DataError, match=words):
        RunFolder(tmp_path).locked().__enter__()
    with RunFolder(tmp_path).locked():
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_a_killed_run_leaves_no_lock(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=f"process {holder.pid}"):
            RunFolder(tmp_path).locked().__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with RunFolder(tmp_path).locked():
        pass
