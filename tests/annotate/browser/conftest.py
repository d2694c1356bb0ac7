"""A real Chromium against a real server: foreign addresses, script errors and policy violations fail every test."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spanwise

# The import mode of this project puts no test folder on the path; the modules beside this one need it.
sys.path.insert(0, str(Path(__file__).parent))

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

if os.environ.get("SPANWISE_TEST_INSTALLED"):  # `make test-browser` means the wheel, not this checkout
    assert Path(__file__).parents[3] / "src" not in Path(spanwise.__file__).parents, spanwise.__file__


@pytest.fixture
def serve(tmp_path: Path) -> Iterator:
    """serve(preset, runs=None) -> Server; all are stopped afterwards."""
    from browser_server import Server  # noqa: PLC0415 - found only through the path above

    servers: list[Server] = []

    def start(preset: str = "qa-feedback", *, runs: Path | None = None) -> Server:
        folder = tmp_path / f"project-{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, preset, runs))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A running Chromium, or the reason why there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator:
    """visit(server, path, name="me") -> page, logged in; what goes wrong in any page fails the test at its end."""
    from browser_server import watch  # noqa: PLC0415 - likewise

    wrong: list[str] = []
    with contextlib.ExitStack() as stack:

        def open_page(server, path: str, *, name: str | None = "me", role: str = "admin", allow: tuple = ()):
            context = chromium.new_context(viewport={"width": 1360, "height": 800}, permissions=["clipboard-write"])
            stack.callback(context.close)
            context.set_default_timeout(120_000)
            if name is not None:
                context.add_cookies(
                    [{"name": server.site.cookie.name, "value": server.session(name, role), "url": server.url}]
                )
            page = context.new_page()
            watch(page, server.url, wrong, allow)
            page.goto(server.url + path)
            return page

        yield open_page
    assert not wrong, wrong
