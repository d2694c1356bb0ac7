"""How the annotation database stands up to many people at once, and to being killed.

    python benchmarks/annotation_load.py [--database postgresql://...] [--kills 50]

Without a database it uses SQLite in a temporary folder. Prints counts of what must not happen, and times of claims,
saves and submits. The PostgreSQL database must be empty.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from annotation_load import Race, calm, kill_and_check, race

from spanwise.annotate.database import Database, sqlite_url
from spanwise.annotate.tables import metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="")
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _show(
            "12 processes, 400 items x 3",
            race(_fresh(options.database, folder, "race"), people=12, items=400, overlap=3),
        )
        url = _fresh(options.database, folder, "calm")
        _show("20 annotators, 0.5 s between acts", calm(url, people=20, items=60, overlap=4, pause=0.5, saves=3))
        kills = kill_and_check(_fresh(options.database, folder, "kill"), times=options.kills, writers=4)
        print(f"{options.kills} kills: {kills[0]:,} revisions acknowledged, {kills[1]} lost, check ok: {kills[2].ok}")


def _fresh(url: str, folder: str, name: str) -> str:
    if not url:
        return sqlite_url(Path(folder) / f"{name}.db")
    database = Database(url)
    metadata.drop_all(database.engine)
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
        for row in connection.exec_driver_sql("SELECT proname FROM pg_proc WHERE proname LIKE '%_is_never_%'").all():
            connection.exec_driver_sql(f"DROP FUNCTION {row[0]}")
    database.close()
    return url


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
