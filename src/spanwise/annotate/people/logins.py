"""Passwords, sessions and one-time addresses: how somebody proves who they are.

Secrets are stored as hashes only: passwords by argon2id, random ones by SHA-256. Guessing is slowed down per name and
per address, unknown names take as long as known ones, and no more than two passwords are hashed at a time, while only
a few wait for that: a flood of logins holds up nobody else. This file knows nothing of cookies.
"""

import hashlib
import secrets
import threading
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from spanwise.annotate.people.users import User, get_user, name_key, user_of
from spanwise.annotate.store import Database, LoginError, audit, stamp, tables
from spanwise.core import DataError
from spanwise.feedback import Record

SHORTEST, LONGEST = 8, 1000
IDLE_HOURS, LONGEST_DAYS = 12, 14
FREE_TRIES, FREE_TRIES_PER_ADDRESS = 5, 20
FIRST_WAIT, LONGEST_WAIT = 30, 900

_hasher = PasswordHasher()
_at_once = threading.Semaphore(2)
_waiting = threading.Semaphore(16)
_DUMMY = _hasher.hash(secrets.token_urlsafe(16))
_WRONG = "The name or the password is wrong."


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
        raise LoginError("Too many people log in at this moment; try again in a few seconds.", retry_after=3)
    try:
        with _at_once:  # the count of tries is read here, so that many tries at once count like one after the other
            row = _proven(database, key, source, password[: LONGEST + 1])
    finally:
        _waiting.release()
    with database.write() as connection:
        connection.execute(delete(tables.login_attempt).where(tables.login_attempt.c.name_key == key))
        if _hasher.check_needs_rehash(row["password_hash"]):
            hashed = _hash(password)
            connection.execute(update(tables.user).where(tables.user.c.id == row["id"]).values(password_hash=hashed))
        return _new_session(connection, database, user_of(row), "password")


def find_session(database: Database, token: str) -> User | None:
    """Who a session token belongs to, or None when it is unknown, ended, too old, or its user disabled."""
    session = tables.session
    query = (
        select(tables.user, session.c.seen_at)
        .join(session, session.c.user_id == tables.user.c.id)
        .where(session.c.id_hash == _digest(token), session.c.expires_at > database.now())
        .where(session.c.seen_at > database.later(-IDLE_HOURS * 3600), tables.user.c.disabled_at.is_(None))
    )
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    if row["seen_at"] < database.later(-60):  # one write a minute is enough to know that somebody is there
        with database.write() as connection:
            seen = update(session).where(session.c.id_hash == _digest(token)).values(seen_at=database.now())
            connection.execute(seen)
    return user_of(row)


def new_session(database: Database, user: User) -> Session:
    """A session without a password, for the single user of a loopback server."""
    with database.write() as connection:
        return _new_session(connection, database, user, "local")


def end_session(database: Database, token: str) -> None:
    """Ends one session; nothing happens where it is unknown."""
    with database.write() as connection:
        connection.execute(delete(tables.session).where(tables.session.c.id_hash == _digest(token)))


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
    key = tables.login_key
    with database.write("spanwise-login-key") as connection:
        valid = key.c.key_hash == _digest(secret), key.c.used_at.is_(None), key.c.expires_at > database.now()
        spent = connection.execute(update(key).where(*valid).values(used_at=database.now())).rowcount
        query = (
            select(tables.user).join(key, key.c.user_id == tables.user.c.id).where(key.c.key_hash == _digest(secret))
        )
        row = connection.execute(query).mappings().first()
        if not spent or row is None or row["disabled_at"] is not None:
            raise LoginError("This address was used already or is too old; ask for another one.")
        return _new_session(connection, database, user_of(row), "one-time address")


def _new_session(connection: Connection, database: Database, user: User, how: str) -> Session:
    token, now = secrets.token_urlsafe(32), database.now()
    row = {"id_hash": _digest(token), "user_id": user.id, "created_at": now, "seen_at": now}
    expires_at = database.later(LONGEST_DAYS * 86400)
    connection.execute(delete(tables.session).where(tables.session.c.expires_at < now))
    connection.execute(insert(tables.session).values(**row, expires_at=expires_at))
    audit.record(connection, database, "session.begun", user.id, user_id=user.id, how=how)
    return Session(token=token, user=user, expires_at=expires_at)


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
    with database.write() as connection:
        connection.execute(delete(attempt).where(attempt.c.at < database.later(-86400)))
        connection.execute(insert(attempt).values(name_key=key, address_hash=source, at=database.now()))


def _wait(connection: Connection, database: Database, key: str, source: str) -> int:
    """Seconds until the next try is allowed; 0 or less when it is allowed now."""
    attempt, now = tables.login_attempt, database.clock()
    waits = [0]
    for column, value, free in (
        (attempt.c.name_key, key, FREE_TRIES),
        (attempt.c.address_hash, source, FREE_TRIES_PER_ADDRESS),
    ):
        recent = column == value, attempt.c.at > stamp(now - timedelta(days=1))
        count, last = connection.execute(select(func.count(), func.max(attempt.c.at)).where(*recent)).one()
        if count >= free:
            pause = min(FIRST_WAIT * 2 ** min(count - free, 10), LONGEST_WAIT)
            waits.append(int((datetime.fromisoformat(last) - now).total_seconds() + pause) + 1)
    return max(waits)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
