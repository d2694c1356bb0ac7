"""The table of risks in docs/internals/annotate.md names every risk, and tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \|[^|]*\|([^|]*)\|[^|]*\|$", re.MULTILINE)


def test_every_risk_has_tests_and_every_named_test_exists() -> None:
    page = (ROOT / "docs" / "internals" / "annotate.md").read_text(encoding="utf-8")
    rows = {int(number): re.findall(r"`(test_\w+)`", tests) for number, tests in ROW.findall(page)}
    assert sorted(rows) == list(range(1, 26))
    assert [number for number, names in rows.items() if not names] == []
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)", written, re.MULTILINE))
    assert [name for names in rows.values() for name in names if name not in known] == []
