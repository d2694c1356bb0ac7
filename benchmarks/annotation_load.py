"""How the annotation database stands up to many people at once, and to being killed.

    python benchmarks/annotation_load.py [--database postgresql://...] [--kills 50] [--only race calm served ...]

Without a database it uses SQLite in a temporary folder; in a PostgreSQL database, a schema of its own. Prints counts of
what must not happen, and times of claims, saves and submits: of the backend's functions (calm), and as a page meets
them through HTTP (served).
"""

import argparse
import contextlib
import sys
import tempfile
import uuid
from collections.abc import Generator
from pathlib import Path

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from doubles.annotation_load import Race, calm, kill_and_check, listed, race, served

from spanwise.annotate.store import Database, sqlite_url

WHAT = ("race", "calm", "served", "lists", "kills")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", nargs="*", choices=WHAT, default=WHAT)
    options = parser.parse_args()
    crowd = {"people": 20, "items": 60, "overlap": 4, "pause": 0.5, "saves": 3}
    for what in options.only:
        with tempfile.TemporaryDirectory() as folder, _fresh(options.database, Path(folder)) as url:
            if what == "race":
                _show("12 processes, 400 items x 3", race(url, people=12, items=400, overlap=3))
            elif what == "calm":
                _show("20 annotators, 0.5 s between acts", calm(url, **crowd))
            elif what == "served":
                _show("20 annotators through HTTP, 0.5 s between acts", served(Path(folder), **crowd, url=url))
            elif what == "lists":
                times = ", ".join(f"{name} {wait:.0f} ms" for name, wait in listed(url, items=10_000).items())
                print(f"10,000 items, medians: {times}")
            else:
                told, lost, report = kill_and_check(url, times=options.kills, writers=4)
                print(f"{options.kills} kills: {told:,} revisions acknowledged, {lost} lost, check ok: {report.ok}")


@contextlib.contextmanager
def _fresh(url: str, folder: Path) -> Generator[str]:
    """The URL of an empty database: a file in `folder`, or a schema of its own in a PostgreSQL database."""
    if not url:
        yield sqlite_url(folder / "load.db")
        return
    schema = f"load_{uuid.uuid4().hex}"
    admin = Database(url)
    with admin.write() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{url}?options=-csearch_path%3D{schema}"
    finally:
        with admin.write() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.close()


def _show(title: str, result: Race) -> None:
    print(
        f"{title}: {result.annotations} annotations in {result.seconds:.1f} s, {result.over_quota} over quota, "
        f"{result.repeats} repeats, {len(result.errors)} errors"
    )
    for error in result.errors[:3]:
        print(f"  {error.splitlines()[0]}")
    for act, times in result.milliseconds.items():
        if times:
            marks = ", ".join(f"p{share:.0%} {result.percentile(act, share):.1f} ms" for share in (0.5, 0.95, 0.99))
            print(f"  {act} ({len(times)}): {marks}".replace("%", ""))


if __name__ == "__main__":
    main()
