"""How the annotation database stands up to many people at once, and to being killed.

    python benchmarks/annotation_load.py [--database postgresql://...] [--kills 50] [--only race calm served ... stress]

Without a database it uses SQLite in a temporary folder; in a PostgreSQL database, a schema of its own. Prints counts of
what must not happen, also when the server is killed, stopped, cut off or full (stress), and times of claims, saves and
submits: of the backend's functions (calm), and as a page meets them through HTTP (served).
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from doubles.annotation_load import Race, calm, fresh, kill_and_check, listed, race, served
from doubles.annotation_stress import stress

WHAT = ("race", "calm", "served", "lists", "kills", "stress")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", nargs="*", choices=WHAT, default=WHAT)
    options = parser.parse_args()
    crowd = {"people": 20, "items": 60, "overlap": 4, "pause": 0.5, "saves": 3}
    for what in options.only:
        with tempfile.TemporaryDirectory() as folder, fresh(options.database, Path(folder)) as url:
            if what == "race":
                _show("12 processes, 400 items x 3", race(url, people=12, items=400, overlap=3))
            elif what == "calm":
                _show("20 annotators, 0.5 s between acts", calm(url, **crowd))
            elif what == "served":
                _show("20 annotators through HTTP, 0.5 s between acts", served(Path(folder), **crowd, url=url))
            elif what == "lists":
                times = ", ".join(f"{name} {wait:.0f} ms" for name, wait in listed(url, items=10_000).items())
                print(f"10,000 items, medians: {times}")
            elif what == "stress":
                done = stress(Path(folder), url=url, people=20, troubles=2 * options.kills)
                said = ", ".join(f"{count} {name}" for name, count in sorted(done.troubles.items()))
                print(f"20 annotators, {said}: {done.saves:,} drafts, {done.submissions:,} submissions acknowledged,")
                print(f"  {done.lost} lost, {len(done.conflicts)} false conflicts, {len(done.late)} without an answer,")
                print(
                    f"  {len(done.wrong)} wrong answers, slowest {done.slowest:.1f} s, check ok: {done.sound}, "
                    f"{done.cut_off} answers cut off on the way"
                )
                for trouble in (*done.conflicts, *done.late, *done.wrong)[:20]:
                    print(f"  {trouble}")
            else:
                told, lost, report = kill_and_check(url, times=options.kills, writers=4)
                print(f"{options.kills} kills: {told:,} revisions acknowledged, {lost} lost, check ok: {report.ok}")


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
