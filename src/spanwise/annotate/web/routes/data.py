"""Records in and out: uploads with their reports, batches that can be taken back, downloads."""

import contextlib
import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from spanwise.annotate.exchange import (
    EXPORTS,
    IMPORTS,
    ImportReport,
    ImportSettings,
    export_file,
    import_file,
    last_export,
    list_batches,
    roll_back,
    since_when,
)
from spanwise.annotate.store import Selection, current
from spanwise.annotate.web.bodies import RequestError
from spanwise.annotate.web.endpoints import Call, Endpoint, Page, Redirect
from spanwise.annotate.web.security import LARGEST_BODY
from spanwise.feedback.formats import Unit

UNITS = get_args(Unit)
LARGEST_UNPACKED = 4 * LARGEST_BODY
_CHUNK = 1 << 16
_ROOM = 256 * 2**20
_MEMORY = Path("/dev/shm")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]|^[.]+")


def show_data(call: Call, report: ImportReport | None = None, *, refused: bool = False) -> Page:
    """Forms for import and export, and the batches so far; after an import its report, or why it was `refused`."""
    batches = list_batches(call.database, call.project)
    shown = {"formats": IMPORTS, "exports": EXPORTS, "batches": batches, "units": UNITS}
    shown |= {"report": report, "refused": refused, "last": last_export(call.database, call.project)}
    return Page("data.html", shown)


def upload(call: Call) -> Page:
    """Imports an uploaded file; what is refused is listed line by line.

    A file with feedback that is not read is imported only where the form allows that; else all of it is taken back.
    """
    sent = call.form.get("file") if call.form is not None else None
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise RequestError(400, "Choose a file to import.")
    settings = ImportSettings.model_validate({"offset_unit": call.field("unit", "auto")})
    with tempfile.TemporaryDirectory() as folder:
        path = _kept(sent, Path(folder))
        project = current(call.database, call.project)  # a round may have begun since the server did
        report = import_file(call.database, project, path, call.field("format"), user=call.who, settings=settings)
    refused = bool(report.unread) and call.field("allow_loss", "no") != "yes"
    if refused:
        roll_back(call.database, project, report.batch_id, by=call.who)
    return show_data(call, report, refused=refused)


def _kept(sent: UploadFile, folder: Path) -> Path:
    """The uploaded file, under a name of ours; an archive is unpacked as far as it stays within bounds."""
    name = _UNSAFE.sub("_", sent.filename or "")[-80:]
    path = folder / (name.removesuffix(".gz") or "upload")
    source = gzip.GzipFile(fileobj=sent.file, mode="rb") if name.endswith(".gz") else sent.file
    written = 0
    try:
        with path.open("wb") as stream:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > LARGEST_UNPACKED:
                    most = LARGEST_UNPACKED // 2**20
                    raise RequestError(413, f"The archive unpacks to more than {most} MB; import it in parts.")
                stream.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RequestError(400, "The file is no whole gzip archive; pack it again, or send it unpacked.") from error
    return path


def take_back(call: Call) -> Redirect:
    """Removes the items of a batch that nobody has worked on."""
    roll_back(call.database, call.project, call.field("batch_id"), by=call.who)
    return Redirect("/data")


def download(call: Call) -> Response:
    """All annotations in one of the export formats, or those since a time or the last export."""
    form = call.query("format")
    if form not in EXPORTS:
        raise RequestError(400, f"No export is called {form!r:.40}; choose one of {', '.join(EXPORTS)}.")
    since = since_when(call.database, call.project, call.query("since"))
    extra, anonymise = call.query("extra") == "yes", call.query("anonymise") == "yes"
    selection = Selection(extra=extra, anonymise=anonymise, since=since)
    folder = tempfile.TemporaryDirectory(dir=roomy())
    path = Path(folder.name) / "export"
    report = export_file(call.database, call.project, path, form, selection, user=call.who)
    name = f"{call.project.config.name}-{form}{'.jsonl' if _is_lines(path) else '.json'}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "x-sha256": report.sha256}
    return StreamingResponse(_streamed(path, folder), media_type="application/octet-stream", headers=headers)


def roomy() -> str | None:
    """Where there is room for a file: the usual folder, else memory, so that a full disk keeps nobody from the data."""
    with contextlib.suppress(OSError):  # on a disk without any room Python finds no usual folder
        if shutil.disk_usage(tempfile.gettempdir()).free > _ROOM:
            return None
    return str(_MEMORY) if _MEMORY.is_dir() else None


def _is_lines(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(1) == b"{"


def _streamed(path: Path, folder: tempfile.TemporaryDirectory[str]) -> Iterator[bytes]:
    with folder, path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


ENDPOINTS = (
    Endpoint("GET", "/data", show_data, "export"),
    Endpoint("POST", "/data/import", upload, "import"),
    Endpoint("POST", "/data/take-back", take_back, "import"),
    Endpoint("GET", "/data/export", download, "export"),
    Endpoint("GET", "/api/v1/export", download, "export", scope="export"),
)
