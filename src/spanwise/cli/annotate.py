"""`spanwise annotate`: the annotation app and everything around it, each command a few calls of the backend."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from spanwise.cli.annotate_manage import agreement, assign, change, groups, quality, undo
from spanwise.cli.annotate_serve import Folder, Url, alone, openapi, opened, run_round, serve, suggest_all
from spanwise.cli.config_help import AsJson, ColumnOptions, EmptyIsClean, Separator, Sheet, layout_of
from spanwise.cli.feedback import READ_HELP, WRITTEN_HELP, AllowLoss, Offsets, print_unread, unit_of
from spanwise.cli.render import left_out, print_json
from spanwise.core import ConfigError, check_readable
from spanwise.feedback.formats import get_format

_TOLD = ("item", "annotation", "draft")
app = typer.Typer(name="annotate", help="Collect feedback: the annotation app and its data.", no_args_is_help=True)
users = typer.Typer(help="People who may log in.", no_args_is_help=True)
db = typer.Typer(help="Care of the database.", no_args_is_help=True)
app.add_typer(users, name="users")
app.add_typer(db, name="db")
app.command(name="serve")(serve)
app.command(name="openapi")(openapi)
for command in (agreement, assign, change, undo, quality):
    app.command(name=command.__name__)(command)
users.command(name="groups")(groups)

Preset = Annotated[
    str | None, typer.Option(help="For a new project: qa-feedback, minimal-edit, toxicity or preference.")
]


@app.command(name="import")
def import_into(
    project: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to import.", show_default=False)],
    *,
    form: Annotated[str, typer.Option("--from", help=READ_HELP)] = "spanwise",
    preset: Preset = None,
    purpose: Annotated[
        str, typer.Option(help="normal, or gold or train for items whose feedback is right.")
    ] = "normal",
    overlap: Annotated[int | None, typer.Option(help="How many people annotate each item.")] = None,
    column: ColumnOptions = None,
    separator: Separator = "",
    empty_is_clean: EmptyIsClean = False,
    sheet: Sheet = "",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    database: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import a file, or a table of answers (CSV, TSV, Excel, Parquet).

    Bad records are listed with line and reason and leave the exit code 2, and so does feedback that is not read.
    """
    from pydantic import ValidationError

    from spanwise.annotate.exchange import ImportSettings, import_file

    try:
        layout = layout_of(column, separator, sheet, empty_is_clean=empty_is_clean)
        how = {"offset_unit": unit_of(offsets), "layout": layout, "allow_loss": tuple(allow_loss or ())}
        settings = ImportSettings.model_validate({"purpose": purpose, "overlap": overlap, **how})
    except ValidationError as error:
        raise ConfigError(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}.") from error
    get_format(form, "read")
    if not file.is_dir():  # some formats are folders
        check_readable(file)
    with opened(project, database, preset) as (base, described):
        report = import_file(base, described, file, form, settings=settings)
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            counts = f"{report.items:,} items, {report.annotations:,} annotations, {report.duplicates:,} known already"
            typer.echo(f"Imported {counts}, {report.rejected:,} refused (batch {report.batch_id}).")
            for row in report.problems:
                typer.echo(f"{row.file}:{row.line}: {row.field + ': ' if row.field else ''}{row.reason}", err=True)
        lost = print_unread(report.unread, allow_loss or ())
        raise typer.Exit(2 if report.rejected or lost else 0)


@app.command(name="take-back")
def take_back(project: Folder, batch: str, *, database: Url = None) -> None:
    """Take an import back, as long as nobody has worked on its items."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.exchange import roll_back

        typer.echo(f"Took back {roll_back(base, described, batch):,} items.")


@app.command(name="export")
def export_from(
    project: Folder,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write.", show_default=False)],
    *,
    to: Annotated[str, typer.Option("--to", help=WRITTEN_HELP)] = "spanwise",
    anonymise: Annotated[bool, typer.Option("--anonymise", help="Write pseudonyms for names.")] = False,
    extra: Annotated[bool, typer.Option("--extra", help="Also what came after its slot had passed on.")] = False,
    since: Annotated[str, typer.Option(help="Only what came later: last (the last export), or a time.")] = "",
    database: Url = None,
    as_json: AsJson = False,
) -> None:
    """Export the annotations, with a manifest beside the file."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.exchange import export_file, since_when
        from spanwise.annotate.store import Selection

        selection = Selection(anonymise=anonymise, extra=extra, since=since_when(base, described, since))
        report = export_file(base, described, output, to, selection)
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            typer.echo(f"Wrote {report.rows:,} rows to {report.path}.")
            for line in left_out(report.left_out):
                typer.echo(line, err=True)


@app.command()
def progress(project: Folder, *, database: Url = None, as_json: AsJson = False) -> None:
    """Show how far the project has come."""
    with opened(project, database) as (base, described):
        from spanwise.annotate.work import progress as count

        counts = count(base, described)
        if as_json:
            print_json(counts.model_dump(mode="json"))
            return
        typer.echo(
            f"{counts.items:,} items; slots: {counts.slots_submitted:,} submitted, {counts.slots_leased:,} lent out, "
            f"{counts.slots_open:,} open, {counts.slots_skipped:,} skipped."
        )
        for person in counts.people:
            typer.echo(f"{person.name}: {person.submitted:,} submitted, {person.today:,} of them in the last 24 hours")


@app.command(name="suggest")
def suggest_marks(
    project: Folder,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A reward model's checkpoint, a YAML file with `sources`, `scorers` or `reward_models`, or a critic's "
            "feedback records (JSONL).",
            show_default=False,
        ),
    ],
    *,
    threshold: Annotated[float, typer.Option(help="Segments that score lower are proposed as errors.")] = 0.0,
    database: Url = None,
) -> None:
    """Let reward sources propose marks for all items that they have not judged."""
    with opened(project, database) as (base, described):
        for line in suggest_all(base, described, source, threshold=threshold):
            typer.echo(line)


@app.command(name="round")
def close_round(
    project: Folder,
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="How: see RoundConfig. Empty = PROJECT/round.yaml.")
    ] = None,
    *,
    by: Annotated[str | None, typer.Option(help="In whose name; empty = the local user.")] = None,
    database: Url = None,
    as_json: AsJson = False,
) -> None:
    """Export the round, retrain the reward models, let the policy answer, queue its most uncertain answers."""
    from spanwise.annotate.people import get_user, local_user
    from spanwise.annotate.rounds import DESCRIPTION, RoundConfig

    settings = RoundConfig.load(config or project / DESCRIPTION)
    with opened(project, database) as (base, described):
        who = get_user(base, by) if by else local_user(base)
        report = run_round(base, described, settings, project, by=who)
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            typer.echo(report.sentence)


@users.command(name="list")
def list_people(project: Folder, *, database: Url = None, as_json: AsJson = False) -> None:
    """List everybody with an account."""
    with opened(project, database) as (base, _):
        from spanwise.annotate.people import list_users

        found = list_users(base)
        if as_json:
            print_json({"users": [user.model_dump(mode="json") for user in found]})
        else:
            for user in found:
                typer.echo(f"{user.name}  {user.role}" + ("  (disabled)" if user.disabled else ""))


@users.command()
def add(
    project: Folder,
    name: str,
    *,
    role: Annotated[str, typer.Option(help="admin, manager, annotator or viewer.")] = "annotator",
    password: Annotated[bool, typer.Option("--password", help="Read a password from standard input.")] = False,
    preset: Preset = None,
    database: Url = None,
) -> None:
    """Add somebody; without --password, print the secret of an address that logs them in once."""
    with opened(project, database, preset) as (base, _):
        from spanwise.annotate.people import create_user, one_time_login, set_password

        user = create_user(base, name, role=role)
        if password:
            set_password(base, name, sys.stdin.readline().rstrip("\n"))
            typer.echo(f"{user.name} may log in with the password.")
        else:
            typer.echo(f"Send {user.name} this once: /login/once?key={one_time_login(base, user)}")


@users.command()
def password(project: Folder, name: str, *, database: Url = None) -> None:
    """Set somebody's password, read from standard input; it ends their sessions."""
    with opened(project, database) as (base, _):
        from spanwise.annotate.people import set_password

        set_password(base, name, sys.stdin.readline().rstrip("\n"))
        typer.echo(f"The password of {name} is set.")


@users.command()
def link(project: Folder, name: str, *, database: Url = None) -> None:
    """Print an address that logs somebody in once, within a week: for those who cannot get in."""
    with opened(project, database) as (base, _):
        from spanwise.annotate.people import get_user, one_time_login

        typer.echo(f"Send {name} this once: /login/once?key={one_time_login(base, get_user(base, name))}")


@users.command()
def role(
    project: Folder,
    name: str,
    role: Annotated[str, typer.Argument(help="admin, manager, annotator or viewer.")],
    *,
    database: Url = None,
) -> None:
    """Give somebody another role; it ends their sessions."""
    with opened(project, database) as (base, _):
        from spanwise.annotate.people import set_role

        typer.echo(f"{name} is {set_role(base, name, role).role} now.")


@users.command()
def disable(project: Folder, name: str, *, database: Url = None) -> None:
    """Shut somebody's account; what they said stays."""
    with opened(project, database) as (base, _):
        from spanwise.annotate.people import disable as shut

        shut(base, name)
        typer.echo(f"{name} may no longer log in.")


@db.command()
def backup(project: Folder, target: Annotated[Path, typer.Argument(metavar="TARGET")]) -> None:
    """Copy the database while others work on it."""
    with opened(project, None) as (base, _):
        from spanwise.annotate.store import backup as copy

        typer.echo(f"Wrote {copy(base, target)}.")


@db.command()
def restore(
    project: Folder, copy: Annotated[Path, typer.Argument(metavar="COPY", help="A file that `db backup` wrote.")]
) -> None:
    """Put a copy in the place of the database, and keep what stood there. Stop the server first."""
    from spanwise.annotate.store import database_of
    from spanwise.annotate.store import restore as put_back

    with alone(project), contextlib.closing(database_of(project)) as base:
        done = put_back(base, copy)
    said = ", ".join(f"{number:,} {name}s" for name, number in done.report.counts.items() if name in _TOLD)
    typer.echo(f"The database is that of {copy} now: {said}.")
    if done.kept:
        typer.echo(f"What stood there is kept as {done.kept}.")


@db.command()
def check(project: Folder, *, database: Url = None, as_json: AsJson = False) -> None:
    """Look for damage, and for what can be saved where there is some; it leaves the exit code 2."""
    from spanwise.annotate.store import check as inspect
    from spanwise.annotate.store import database_of

    with contextlib.closing(database_of(project, url=database)) as base:  # as it is: a damaged one cannot be upgraded
        report = inspect(base)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        typer.echo("The database is sound." if report.ok else "The database is damaged:")
        for problem in report.problems:
            typer.echo(problem)
        for copy in report.copies:
            typer.echo(f"A sound copy to go back to: spanwise annotate db restore {project} {copy}")
    raise typer.Exit(0 if report.ok else 2)


@db.command()
def upgrade(project: Folder, *, database: Url = None) -> None:
    """Bring the database to the present shape, after a copy."""
    from spanwise.annotate.store import read_description

    read_description(project)  # refuses a wrong folder before the database is loaded
    from spanwise.annotate.store import database_of
    from spanwise.annotate.store import upgrade as migrate

    with contextlib.closing(database_of(project, url=database)) as base:
        done = migrate(base)
    typer.echo(f"The database is at revision {done.after}" + (f"; a copy is {done.backup}." if done.backup else "."))
