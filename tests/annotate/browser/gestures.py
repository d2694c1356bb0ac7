"""What a person does on the working page, by real input only."""

import time

PATIENCE = 90.0  # seconds that a busy machine may take; nothing waits as long where all is well


def ready(page) -> None:
    """Waits for the response to be there."""
    page.wait_for_selector("#response .para")
    until(page, "document.getElementById('response').pane !== undefined")


def until(page, condition: str) -> None:
    """Waits until a JavaScript condition holds; our policy forbids the usual way of waiting."""
    eventually(lambda: page.evaluate(condition))


def drag(page, start: int, end: int, *, characters: bool = False) -> None:
    """Drags the mouse from code point `start` to `end` of the response."""
    boxes = page.evaluate(
        """([start, end]) => {
          const pane = document.getElementById("response").pane;
          const box = (from, to) => pane.range(from, to).getClientRects();
          const first = box(start, start + 1)[0], last = [...box(end - 1, end)].at(-1);
          return [first.left, first.top + first.height / 2, last.right, last.top + last.height / 2];
        }""",
        [start, end],
    )
    left, top, right, bottom = boxes
    mouse = page.mouse
    if characters:
        page.keyboard.down("Alt")
    mouse.move(left + 1, top)
    mouse.down()
    mouse.move((left + right) / 2, (top + bottom) / 2, steps=3)
    mouse.move(right - 1, bottom, steps=4)
    mouse.up()
    if characters:
        page.keyboard.up("Alt")


def press(page, *keys: str) -> None:
    """Presses keys one after the other; "5*ArrowRight" presses one five times."""
    for key in keys:
        count, _, name = key.rpartition("*")
        for _ in range(int(count or 1)):
            page.keyboard.press(name or "*")


def saved(page) -> None:
    """Waits until the server has everything."""
    page.wait_for_selector('[data-save="saved"]')


def eventually(check) -> None:
    """Waits until `check()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def becomes(read, wanted) -> None:
    """Waits until `read()` is `wanted`; a failure says what it was instead."""
    deadline = time.monotonic() + PATIENCE
    while (found := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == wanted
