"""The disk under the database: what it refuses, in a sentence, and whether it lies on another machine.

SQLite's locks, and the memory that its write-ahead log shares, are not to be trusted over a network. Knows no tables.
"""

import re
import sqlite3
from pathlib import Path

from sqlalchemy.exc import OperationalError

from spanwise.annotate.refusals import StorageError

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs"}
    | {"gpfs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs2", "fuse.ceph"}
)
_FULL_ON_POSTGRESQL = "53100"
_OCTAL = re.compile(r"\\([0-7]{3})")


def disk_problem(error: OperationalError) -> StorageError | None:
    """What people are told of an error that the disk caused; None for any other."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number only details it
    if code == sqlite3.SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _FULL_ON_POSTGRESQL:
        return StorageError("The server's disk is full, and nothing of this was stored; make room, then try again.")
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(
            "The server may not write to its database, and nothing was stored; allow it, then try again."
        )
    return None


def network_file_system(path: Path, *, mounts: Path = MOUNTS) -> str | None:
    """The kind of network file system that `path` lies on, such as "nfs4"; None on a disk of this machine.

    Only Linux tells (`mounts`, see proc(5)); elsewhere the answer is None.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    target, kind, longest = path.absolute().resolve(), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        at, fields = Path(_OCTAL.sub(lambda sign: chr(int(sign[1], 8)), before.split(" ")[4])), after.split(" ")
        if target.is_relative_to(at) and len(at.parts) >= longest:  # of two mounts at one place the later is seen
            kind, longest = fields[0], len(at.parts)
    return kind if kind in NETWORK else None
