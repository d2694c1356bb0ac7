"""Passwords, sessions and one-time addresses: how somebody proves who they are.

Secrets are stored as hashes only: passwords by argon2id, random ones by SHA-256. Guessing is slowed down per name and
per address, unknown names take as long as known ones, and no more than two passwords are hashed at a time, while only
a few wait for that: a flood of logins holds up nobody else. A database that takes nothing locks nobody out
(`pending.py`), nor does a clock that was wrong for a while. This file knows nothing of cookies.
"""

import contextlib
import hashlib
import secrets
import threading
import time
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, func, insert, or_, select, update

from spanwise.annotate.people.pending import pending
from spanwise.annotate.people.users import User, get_user, name_key, user_of
from spanwise.annotate.store import BusyError, Database, LoginError, StorageError, audit, stamp, tables
from spanwise.core import DataError
from spanwise.feedback import Record

SHORTEST, LONGEST = 8, 1000
IDLE_HOURS, LONGEST_DAYS = 12, 14
FREE_TRIES, FREE_TRIES_PER_ADDRESS = 5, 20
FIRST_WAIT, LONGEST_WAIT = 30, 900
_REFUSED = (StorageError, BusyError)  # by the database, at the moment
_SEEN_SECONDS = 60  # to know this well when somebody was there is enough
_TURN_SECONDS = 3.0  # that one waits for passwords to be hashed, those of others and one's own
_WRITE_SECONDS = 0.5  # that one waits for the database, which can be told later

# Made once: making it takes longer than running it.
_USER = select(tables.user).where(tables.user.c.disabled_at.is_(None))
_BY_ID = _USER.where(tables.user.c.id == bindparam("user"))
_BY_SESSION = (
    _USER.add_columns(tables.session.c.seen_at)
    .join(tables.session, tables.session.c.user_id == tables.user.c.id)
    .where(tables.session.c.id_hash == bindparam("hashed"), tables.session.c.expires_at > bindparam("now"))
)

_hasher = PasswordHasher()
_pace = [0.1]  # seconds that the last password took to be hashed
_at_once = threading.Semaphore(2)
_waiting = threading.Semaphore(16)
_DUMMY = _hasher.hash(secrets.token_urlsafe(16))
_WRONG = "The name or the password is wrong."
_CROWD = "Too many people log in at this moment; try again in a few seconds."
_SPENT = "This address was used already or is too old; ask for another one."


class Session(Record):
    """A login. `token` belongs into the cookie; only its hash is stored."""

    token: str
    user: User
    expires_at: str


def set_password(database: Database, name: str, password: str, *, by: User | None = None) -> None:
    """Sets a password and ends the user's sessions; raises DataError when it is too short."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise DataError(f"A password has {SHORTEST} to {LONGEST} characters; choose another.")
    user = get_user(database, name)
    hashed = _hash(password)
    with database.write() as connection:
        connection.execute(update(tables.user).where(tables.user.c.id == user.id).values(password_hash=hashed))
        connection.execute(delete(tables.session).where(tables.session.c.user_id == user.id))
        audit.record(connection, database, "user.password", user.id, user_id=by.id if by else None)


def log_in(database: Database, name: str, password: str, *, address: str) -> Session:
    """A new session for the right password.

    Raises LoginError with the same words for an unknown name and a wrong password, and with `retry_after` when there
    were too many tries for this name or from this address, or too many people at once.
    """
    key, source = name_key(name), _digest(f"address/{address}")
    if not _waiting.acquire(blocking=False):
        raise LoginError(_CROWD, retry_after=3)
    try:
        row = _proven_in_turn(database, key, source, password[: LONGEST + 1])
    finally:
        _waiting.release()
    user = user_of(row)
    try:
        with _write_soon(database) as connection:
            connection.execute(delete(tables.login_attempt).where(tables.login_attempt.c.name_key == key))
            if _hasher.check_needs_rehash(row["password_hash"]):
                new = update(tables.user).where(tables.user.c.id == row["id"])
                connection.execute(new.values(password_hash=_hash(password)))
            return _new_session(connection, database, user, "password")
    except _REFUSED:
        return _kept_session(database, user)


def find_session(database: Database, token: str) -> User | None:
    """Who a session token belongs to, or None when it is unknown, ended, too old, or its user disabled.

    Writes nothing: nobody who reads waits for those who write.
    """
    session, hashed, late = tables.session, _digest(token), pending(database)
    kept = late.sessions.get(hashed)
    with database.read() as connection:
        if kept is None:
            found = connection.execute(_BY_SESSION, {"hashed": hashed, "now": database.now()})
        else:
            found = connection.execute(_BY_ID, {"user": kept["user_id"]})
        row = found.mappings().first()
    if row is None or hashed in late.ended or (kept is not None and kept["expires_at"] <= database.now()):
        return None
    seen_at = late.last_seen(session, hashed, kept["seen_at"] if kept else row["seen_at"]) or ""
    if seen_at <= database.later(-IDLE_HOURS * 3600):
        return None
    if not database.later(-_SEEN_SECONDS) <= seen_at <= database.later(_SEEN_SECONDS):
        seen = update(session).where(session.c.id_hash == hashed).values(seen_at=database.now())
        late.saw(session, hashed, database.now(), seen)
    return user_of(row)


def new_session(database: Database, user: User) -> Session:
    """A session without a password, for the single user of a loopback server."""
    with database.write() as connection:
        return _new_session(connection, database, user, "local")


def end_session(database: Database, token: str) -> None:
    """Ends one session; nothing happens where it is unknown."""
    hashed = _digest(token)
    pending(database).end(hashed)
    with contextlib.suppress(*_REFUSED):
        database.write_late()


def end_all_sessions(database: Database, user: User) -> None:
    """Ends all sessions of a user."""
    with database.write() as connection:
        connection.execute(delete(tables.session).where(tables.session.c.user_id == user.id))
        audit.record(connection, database, "session.all_ended", user.id, user_id=user.id)


def one_time_login(database: Database, user: User, *, minutes: float = 60 * 24 * 7) -> str:
    """The secret of an address that logs `user` in, once."""
    secret = secrets.token_urlsafe(32)
    row = {"key_hash": _digest(secret), "user_id": user.id, "created_at": database.now()}
    with database.write() as connection:
        connection.execute(insert(tables.login_key).values(**row, expires_at=database.later(minutes * 60)))
        audit.record(connection, database, "login_key.made", user.id)
    return secret


def redeem_login(database: Database, secret: str) -> Session:
    """A session for the secret of a one-time address; raises LoginError when it is spent, too old or unknown."""
    key, hashed = tables.login_key, _digest(secret)
    valid = key.c.key_hash == hashed, key.c.used_at.is_(None), key.c.expires_at > database.now()
    owner = select(tables.user).join(key, key.c.user_id == tables.user.c.id)
    owner = owner.where(*valid, tables.user.c.disabled_at.is_(None))
    try:
        with _write_soon(database, "spanwise-login-key") as connection:
            row = connection.execute(owner).mappings().first()
            if row is None or hashed in pending(database).spent:
                raise LoginError(_SPENT)
            connection.execute(update(key).where(*valid).values(used_at=database.now()))
            return _new_session(connection, database, user_of(row), "one-time address")
    except _REFUSED:
        return _redeemed_in_memory(database, owner, hashed)


def _redeemed_in_memory(database: Database, owner: Select[Any], hashed: str) -> Session:
    late = pending(database)
    with database.read() as connection, late.lock:
        row = connection.execute(owner).mappings().first()
        if row is None or hashed in late.spent:
            raise LoginError(_SPENT)
        late.spend(hashed, database.now())
    return _kept_session(database, user_of(row))


def _kept_session(database: Database, user: User) -> Session:
    """A session that only this process knows until the database takes it."""
    token = secrets.token_urlsafe(32)
    row = _session_row(database, user, token)
    pending(database).begin(row)
    return Session(token=token, user=user, expires_at=row["expires_at"])


def _session_row(database: Database, user: User, token: str) -> dict[str, str]:
    now, end = database.now(), database.later(LONGEST_DAYS * 86400)
    return {"id_hash": _digest(token), "user_id": user.id, "created_at": now, "seen_at": now, "expires_at": end}


def _new_session(connection: Connection, database: Database, user: User, how: str) -> Session:
    token = secrets.token_urlsafe(32)
    row = _session_row(database, user, token)
    connection.execute(delete(tables.session).where(tables.session.c.expires_at < database.now()))
    connection.execute(insert(tables.session).values(**row))
    audit.record(connection, database, "session.begun", user.id, user_id=user.id, how=how)
    return Session(token=token, user=user, expires_at=row["expires_at"])


def _write_soon(database: Database, lock: str = "") -> contextlib.AbstractContextManager[Connection]:
    """A write that waits only for a moment: what it would have stored is kept in memory otherwise."""
    return database.write(lock, patience=min(database.patience, _WRITE_SECONDS))


def _proven_in_turn(database: Database, key: str, source: str, password: str) -> RowMapping:
    """The same as `_proven`, for two at a time; the count of tries is read in turn, so that many at once all count."""
    if not _at_once.acquire(timeout=max(0.0, _TURN_SECONDS - _pace[0])):
        raise LoginError(_CROWD, retry_after=3)
    began = time.monotonic()
    try:
        return _proven(database, key, source, password)
    finally:
        _pace[0] = time.monotonic() - began
        _at_once.release()


def _proven(database: Database, key: str, source: str, password: str) -> RowMapping:
    """The user whose password this is; raises LoginError, and counts the failure."""
    with database.read() as connection:
        wait = _wait(connection, database, key, source)
        row = connection.execute(select(tables.user).where(tables.user.c.name_key == key)).mappings().first()
    if wait > 0:
        raise LoginError(f"Too many tries; wait {wait} seconds.", retry_after=wait)
    if not _matches(row, password) or row is None or row["disabled_at"] is not None:
        _count_failure(database, key, source)
        raise LoginError(_WRONG)
    return row


def _matches(row: RowMapping | None, password: str) -> bool:
    hashed = (row["password_hash"] if row else None) or _DUMMY
    try:
        right = _hasher.verify(hashed, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return right and hashed != _DUMMY


def _hash(password: str) -> str:
    with _at_once:
        return _hasher.hash(password)


def _count_failure(database: Database, key: str, source: str) -> None:
    attempt = tables.login_attempt
    row = {"name_key": key, "address_hash": source, "at": database.now()}
    old = attempt.c.at < database.later(-86400), attempt.c.at > database.later(60)  # the clock was ahead
    try:
        with _write_soon(database) as connection:
            connection.execute(delete(attempt).where(or_(*old)))
            connection.execute(insert(attempt).values(**row))
    except _REFUSED:
        pending(database).failed(row)


def _wait(connection: Connection, database: Database, key: str, source: str) -> int:
    """Seconds until the next try is allowed; 0 or less when it is allowed now. Tries that lie ahead are none."""
    attempt, now = tables.login_attempt, database.clock()
    waits = [0]
    for column, value, free in (
        (attempt.c.name_key, key, FREE_TRIES),
        (attempt.c.address_hash, source, FREE_TRIES_PER_ADDRESS),
    ):
        recent = column == value, attempt.c.at > stamp(now - timedelta(days=1)), attempt.c.at <= stamp(now)
        count, last = connection.execute(select(func.count(), func.max(attempt.c.at)).where(*recent)).one()
        kept = [
            row["at"] for row in pending(database).attempts if row[column.name] == value and row["at"] <= stamp(now)
        ]
        count, last = count + len(kept), max(filter(None, (last, *kept)), default=None)
        if count >= free and last:
            pause = min(FIRST_WAIT * 2 ** min(count - free, 10), LONGEST_WAIT)
            waits.append(int((datetime.fromisoformat(last) - now).total_seconds() + pause) + 1)
    return max(waits)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
