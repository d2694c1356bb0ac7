"""The server that browser tests talk to, an item to annotate, and what counts as wrong in a page."""

import threading
import time
from pathlib import Path

import uvicorn

from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import create_user, local_user
from spanwise.annotate.rounds.job import RoundJob
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.feedback.schema import FeedbackRecord, Passage, Response

FAIR = FeedbackRecord(
    id="fair",
    prompt="When is the fair of Kelwick, and which goods does the town export?",
    passages=(
        Passage(
            title="Kelwick",
            sentences=(
                "Kelwick is a market town on the river Aeleen.",
                "Its fair is held in the second week of May.",
                "The town has had a wall since 1841.",
            ),
        ),
        Passage(title="Trade", sentences=("Towns trade in timber and wool.", "Kelwick exports sails and dried fish.")),
    ),
    responses=(
        Response(
            text="Kelwick holds its fair in June. The wall was built in 1841. It exports sails, and it exports sails."
        ),
        Response(text="The fair is in May. Kelwick exports sails and dried fish."),
    ),
)


class Server:
    """The app of one project on a free port of this machine."""

    def __init__(self, folder: Path, preset: str, runs: Path | None) -> None:
        self.folder = folder
        self.database, self.project = open_project(folder, preset_name=preset)
        app = create_app(self.database, self.project, runs=runs, parts=[RoundJob(folder)])
        self.site = app.state.site
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none")
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 60
        while not self.uvicorn.started and time.monotonic() < deadline:
            time.sleep(0.02)
        port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def add(self, *records: FeedbackRecord, overlap: int = 1) -> list[str]:
        """Stores records as items; returns their ids."""
        new = [
            NewItem(record=one, ext_id=one.id, meta={}, purpose="normal", priority=0.0, overlap=overlap)
            for one in records
        ]
        with self.database.write() as connection:
            return add_items(connection, self.project, new, batch_id=None)

    def session(self, name: str = "me", role: str = "admin") -> str:
        """A session token of the user called `name`, made on the way."""
        user = local_user(self.database) if name == "me" else create_user(self.database, name, role=role)
        return new_session(self.database, user).token

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(20)
        self.database.close()


def watch(page, url: str, wrong: list[str], allow: tuple) -> None:
    """Notes every request to another address, script error, dialog and console error."""

    def request(one) -> None:
        if not one.url.startswith((url, "data:", "blob:")):
            wrong.append(f"foreign address {one.url}")

    def console(message) -> None:
        if message.type == "error" and not any(part in message.text for part in allow):
            wrong.append(f"console: {message.text}")

    def dialog(one) -> None:
        wrong.append(f"dialog: {one.message}")
        one.dismiss()

    page.on("request", request)
    page.on("console", console)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", dialog)
