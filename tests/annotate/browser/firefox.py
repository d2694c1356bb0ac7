"""A Firefox as Debian ships it, driven by Marionette, the protocol that it speaks itself: no driver beside it.

Marionette sends and takes JSON arrays over a socket, each with its length before it; its commands are those of the
WebDriver standard. Only what the tests need is here.
"""

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

PREFERENCES = """
user_pref("marionette.port", 0);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"""
START_SECONDS, PATIENCE = 120, 90
KEYS = {
    "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Enter": "\ue007",
    "Tab": "\ue004", "Escape": "\ue00c", "Home": "\ue011", "End": "\ue010", "Delete": "\ue017", "Space": " ",
    "Shift": "\ue008", "Control": "\ue009", "Alt": "\ue00a",
}  # fmt: skip


class Firefox:
    """One window with one page."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._unread, self._number = link, b"", 0
        self._message()  # it says first what it speaks
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})

    def ask(self, name: str, parameters: dict[str, Any] | None = None) -> Any:
        """The answer to a command; raises AssertionError with what Firefox says is wrong."""
        self._number += 1
        sent = json.dumps([0, self._number, name, parameters or {}]).encode()
        self._link.sendall(f"{len(sent)}:".encode() + sent)
        _, number, wrong, answer = self._message()
        assert number == self._number
        assert wrong is None, f"{name}: {wrong}"
        return answer.get("value", answer) if isinstance(answer, dict) else answer

    def goto(self, address: str) -> None:
        """Opens an address and waits until it is loaded."""
        self.ask("WebDriver:Navigate", {"url": address})

    def evaluate(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript expression, or what its promise becomes; `arguments` are there by that name."""
        body = (
            "const done = arguments[arguments.length - 1]; Promise.resolve("
            + script
            + ").then(done, (e) => done(`${e}`));"
        )
        return self.ask("WebDriver:ExecuteAsyncScript", {"script": body, "args": list(arguments)})

    def until(self, script: str) -> None:
        """Waits until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(script):
            assert time.monotonic() < deadline, f"did not happen in time: {script}"
            time.sleep(0.1)

    def log_in(self, cookie: str, token: str) -> None:
        """Sets the session's cookie for the page's host."""
        self.ask("WebDriver:AddCookie", {"cookie": {"name": cookie, "value": token, "path": "/"}})

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, "Shift+ArrowRight" with the modifier held; "5*ArrowRight" five times."""
        acts: list[dict[str, str]] = []
        for key in keys:
            count, _, name = key.rpartition("*")
            *modifiers, sign = [KEYS.get(part, part) for part in name.split("+")]
            held = [{"type": "keyDown", "value": one} for one in modifiers]
            stroke = [{"type": "keyDown", "value": sign}, {"type": "keyUp", "value": sign}]
            let_go = [{"type": "keyUp", "value": one} for one in reversed(modifiers)]
            acts += [*held, *stroke, *let_go] * int(count or 1)
        self._perform({"type": "key", "id": "keyboard", "actions": acts})

    def drag(self, left: float, top: float, right: float, bottom: float) -> None:
        """Drags the mouse from one point of the window to another."""
        points = [(left, top), ((left + right) / 2, (top + bottom) / 2), (right, bottom)]
        moves = [{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 50} for x, y in points]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        acts = [moves[0], down, *moves[1:], up]
        self._perform({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": acts})

    def zoom(self, factor: float) -> None:
        """Sets the page's zoom, as people do with Ctrl and plus."""
        self.ask("Marionette:SetContext", {"value": "chrome"})
        script = "const {gBrowser} = window; gBrowser.selectedBrowser.fullZoom = arguments[0];"
        self.ask("WebDriver:ExecuteScript", {"script": script, "args": [factor]})
        self.ask("Marionette:SetContext", {"value": "content"})

    def resize(self, width: int, height: int) -> None:
        """Makes the window this large, its frame included."""
        self.ask("WebDriver:SetWindowRect", {"width": width, "height": height})

    def _perform(self, source: dict[str, Any]) -> None:
        self.ask("WebDriver:PerformActions", {"actions": [source]})
        self.ask("WebDriver:ReleaseActions")

    def _message(self) -> Any:
        while b":" not in self._unread:
            self._receive()
        length, _, self._unread = self._unread.partition(b":")
        while len(self._unread) < int(length):
            self._receive()
        message, self._unread = self._unread[: int(length)], self._unread[int(length) :]
        return json.loads(message)

    def _receive(self) -> None:
        piece = self._link.recv(1 << 16)
        assert piece, "Firefox has gone away"
        self._unread += piece


@contextlib.contextmanager
def running(program: str) -> Generator[Firefox]:
    """A headless Firefox with a profile of its own, ended afterwards."""
    with tempfile.TemporaryDirectory() as profile:
        (Path(profile) / "user.js").write_text(PREFERENCES)
        command = [program, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile"]
        process = subprocess.Popen([*command, profile], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with socket.create_connection(("127.0.0.1", _port(Path(profile))), timeout=PATIENCE) as link:
                yield Firefox(link)
        finally:
            process.terminate()
            process.wait(30)


def _port(profile: Path) -> int:
    """The port that this Firefox chose, as it writes it into its profile."""
    deadline = time.monotonic() + START_SECONDS
    told = profile / "MarionetteActivePort"
    while not (told.exists() and told.read_text().strip()):
        assert time.monotonic() < deadline, "Firefox did not begin"
        time.sleep(0.1)
    return int(told.read_text())
