"""What works long on a project: `spanwise annotate serve` opens it in the browser, `round` retrains and asks again.

`openapi` describes what programs may ask of the server, which refuses to be reached from elsewhere unprotected; a round
writes down what it is at, and scores with torch.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanwise.cli.render import print_json
from spanwise.core import ConfigError, SpanwiseError, write_json
from spanwise.feedback import FeedbackRecord, Sample, scores_of

if TYPE_CHECKING:
    from spanwise.annotate.people import User
    from spanwise.annotate.rounds import RoundConfig, RoundReport, RoundSteps
    from spanwise.annotate.store import Database, Project


Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.", show_default=False)]
Url = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="SPANWISE_DATABASE",
        show_envvar=True,
        help="A PostgreSQL address in place of the project's database.",
    ),
]


def serve(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.", show_default=False)],
    *,
    preset: Annotated[
        str | None, typer.Option(help="For a new project: qa-feedback, minimal-edit, toxicity or preference.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8000,
    host_name: Annotated[
        list[str] | None, typer.Option("--host-name", help="A name that browsers use for this server; repeatable.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of the server speaks https with browsers.")
    ] = False,
    runs: Annotated[Path | None, typer.Option(help="A folder with run folders to show.")] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line of JSON per request to standard error.")
    ] = False,
    database: Annotated[
        str | None, typer.Option(envvar="SPANWISE_DATABASE", show_envvar=True, help="A PostgreSQL address.")
    ] = None,
) -> None:
    """Serve a project until Ctrl+C; prints an address that logs in once."""
    from spanwise.annotate.store import read_description

    read_description(project, preset_name=preset)  # refuses a wrong folder before the server is loaded
    import uvicorn

    from spanwise.annotate.exchange import Webhooks
    from spanwise.annotate.rounds import RoundJob
    from spanwise.annotate.store import open_project
    from spanwise.annotate.web import create_app, log_requests

    if access_log:
        log_requests()
    base, described = open_project(project, preset_name=preset, url=database)
    try:
        _check_exposure(base, host, host_name or [], behind_proxy=behind_proxy)
        job = RoundJob(project, database=database)
        app = create_app(base, described, hosts=host_name or [], https=behind_proxy, runs=runs, parts=[job])
        hooks = Webhooks(base, described, project)
        with _listening(host, port) as listener, _only_server(project), hooks.running():
            _say_where(base, host, listener.getsockname()[1])
            config = uvicorn.Config(app, log_level="warning", server_header=False, proxy_headers=behind_proxy)
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        base.close()


def openapi(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of printing.")] = None,
) -> None:
    """Print the description of the JSON API, as OpenAPI 3.1."""
    from spanwise.annotate.web import api_description

    if output is None:
        print_json(api_description())
        return
    write_json(output, api_description())
    typer.echo(f"Wrote {output}.")


def suggest_all(base: "Database", described: "Project", source: Path, *, threshold: float) -> Iterator[str]:
    """Proposes marks by reward sources, or those of a file of records; yields what became of them, in sentences.

    Of a checkpoint those heads speak whose category the project has; of a YAML file every source must have one.
    """
    from spanwise.annotate.work import suggest
    from spanwise.reward_models import PAIR_HEADS
    from spanwise.rewards import SourcesConfig, configured_sources, load_sources

    if source.is_file() and source.suffix not in (".yaml", ".yml"):
        yield from _by_records(base, described, source)
        return
    known = {category.group for category in described.config.span_categories}
    if source.is_file():
        speaking = configured_sources(SourcesConfig.load(source))
    else:
        speaking = [one for one in load_sources(source) if one.name not in PAIR_HEADS and one.category in known]
    for one in speaking:
        yield f"{one.name}: judged {suggest(base, described, one, threshold=threshold):,} items."


def _by_records(base: "Database", described: "Project", file: Path) -> Iterator[str]:
    from spanwise.annotate.work import suggest_marks
    from spanwise.feedback import FeedbackRecord, load_or_raise

    done = suggest_marks(base, described, load_or_raise(file, FeedbackRecord))
    yield f"Proposed {done.marks:,} marks for {done.items:,} items; {done.already:,} items had them already."
    if done.unknown_answers:
        yield f"{done.unknown_answers:,} answers of the file are in no item of the project."
    for name, number in done.unknown_categories.items():
        yield f"Not proposed, because the project has no category {name!r}: {number:,}"


def run_round(
    database: "Database", project: "Project", config: "RoundConfig", folder: Path, *, by: "User"
) -> "RoundReport":
    """Closes the round of the project in `folder`, alone, and writes down for the overview what it is at."""
    from spanwise.annotate.rounds import Diary, next_round, only_one

    with only_one(folder):
        diary = Diary(folder, project.round)
        rounds = folder / "rounds"
        try:
            _, report = next_round(
                database, project, _steps(config), by=by, folder=rounds, config=config, say=diary.begin
            )
        except SpanwiseError as error:
            diary.failed(str(error))
            raise
        diary.done(report.sentence)
    return report


def _steps(config: "RoundConfig") -> "RoundSteps":
    """Training and answering by commands, scoring in this process."""
    from spanwise.annotate.rounds import CommandSteps

    class ModelSteps(CommandSteps):
        def score(self, run_dir: Path, records: Sequence[FeedbackRecord]) -> Mapping[str, float]:
            return _uncertainties(run_dir, records)

    return ModelSteps(config)


def _uncertainties(run_dir: Path, records: Sequence[FeedbackRecord]) -> Mapping[str, float]:
    """How unsure the reward model is of the first answer of each record; 0 where it cannot score it.

    Heads that judge whole answers are left out: their scores say nothing of how sure they are.
    """
    from spanwise.annotate.work import uncertainty
    from spanwise.reward_models import PAIR_HEADS
    from spanwise.rewards import load_sources

    samples = [Sample.of(record, record.responses[0].text) for record in records]
    sources = load_sources(run_dir / "checkpoints" / "best")
    by_head = [scores_of(source, samples) for source in sources if source.name not in PAIR_HEADS]
    if not by_head:
        raise ConfigError(f"{run_dir}: has no head that judges segments; add one to heads in the round's config.")
    judged = zip(records, zip(*by_head, strict=True), strict=True)
    return {record.id: uncertainty(list(scores)) or 0.0 for record, scores in judged}


def _check_exposure(base: "Database", host: str, names: list[str], *, behind_proxy: bool) -> None:
    """Raises ConfigError when others could reach the server without a password, or by a name it does not know."""
    from spanwise.annotate.people import list_users

    if _is_loopback(host):
        return
    if not any(user.has_password and not user.disabled for user in list_users(base)):
        raise ConfigError(
            f"Others can reach {host}, and nobody has a password; add one with: spanwise annotate users add --password."
        )
    if not names or not behind_proxy:
        raise ConfigError(
            f"Others can reach {host}; name the server (--host-name) and put a proxy that speaks https in front of it "
            "(--behind-proxy)."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say_where(base: "Database", host: str, port: int) -> None:
    """Says where the server is, and lets an administrator in when none has a password to log in with."""
    from spanwise.annotate.people import list_users, local_user, one_time_login
    from spanwise.annotate.store import BusyError, StorageError

    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    people = list_users(base)
    typer.echo(f"Serving on {address} (Ctrl+C ends it).")
    if any(user.role == "admin" and user.has_password and not user.disabled for user in people):
        return
    able = [user for user in people if user.role == "admin" and not user.disabled]
    try:
        user = able[0] if able else local_user(base)
        key = one_time_login(base, user, minutes=60)
    except (StorageError, BusyError) as error:  # those who are logged in go on all the same
        typer.echo(f"No address to log in with could be made. {error}", err=True)
        return
    typer.echo(f"Open {address}/login/once?key={key}")
    typer.echo(f"The address logs in {user.name}, an administrator, once and within an hour.")


@contextlib.contextmanager
def alone(project: Path) -> Generator[None]:
    """Nobody serves the project during the block; raises ConfigError when somebody does."""
    from spanwise.core import take_lock

    with (project / ".serving").open("w") as lock:
        if not take_lock(lock):
            raise ConfigError(f"A server works on {project}; stop it first, then try again.")
        yield


@contextlib.contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY); else each waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be listened on ({error.strerror}); choose another port."
            ) from error
        listener.listen()  # whoever opens the printed address at once waits a moment, and is not refused
        yield listener
    finally:
        listener.close()


@contextlib.contextmanager
def _only_server(project: Path) -> Generator[None]:
    """Says so when another server works on the same project; both are safe, but one is enough."""
    from spanwise.core import take_lock

    with (project / ".serving").open("w") as lock:
        if not take_lock(lock):
            typer.echo(f"Another server works on {project} already; nothing breaks, but one is enough.", err=True)
        yield


@contextlib.contextmanager
def opened(folder: Path, url: str | None, preset: str | None = None) -> "Generator[tuple[Database, Project]]":
    """The project in `folder`, closed afterwards whatever happens."""
    from spanwise.annotate.store import read_description

    read_description(folder, preset_name=preset)  # refuses a wrong folder before the database is loaded
    from spanwise.annotate.store import open_project

    base, described = open_project(folder, preset_name=preset, url=url)
    with contextlib.closing(base):
        yield base, described
