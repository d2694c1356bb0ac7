"""API tokens: secrets for programs, each with scopes, perhaps an end, and the time it was last used."""

import hashlib
import secrets
from typing import Literal, get_args

from sqlalchemy import insert, select, update

from spanwise.annotate.people.pending import pending
from spanwise.annotate.people.users import User, may, user_of
from spanwise.annotate.store import AccessError, Database, UnknownError, audit, new_id, tables
from spanwise.core import DataError
from spanwise.feedback import Record
from spanwise.text import check_text

Scope = Literal["read", "annotate", "import", "export", "admin"]

PREFIX = "spw_"
MOST_DAYS = 3650


class Token(Record):
    """A token without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None


class NewToken(Token):
    """A token with its secret, which is shown this once."""

    secret: str


def create_token(
    database: Database, user: User, *, name: str, scopes: tuple[Scope, ...], days: int | None = None
) -> NewToken:
    """A new token of `user`; raises DataError for an unknown scope, or days that are not from 1 to `MOST_DAYS`."""
    unknown = [scope for scope in scopes if scope not in get_args(Scope)]
    if unknown or not scopes:
        raise DataError(f"A token needs scopes out of {', '.join(get_args(Scope))}.")
    if not 0 < len(check_text(name, place="name")) <= 100:
        raise DataError("A token needs a name of 1 to 100 characters.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise DataError(f"A token lives 1 to {MOST_DAYS:,} days; leave the field empty for one without an end.")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = NewToken(
        secret=secret,
        id=new_id(),
        name=name,
        scopes=scopes,
        created_at=database.now(),
        expires_at=None if days is None else database.later(days * 86400),
        used_at=None,
        revoked_at=None,
    )
    with database.write() as connection:
        values = made.model_dump(exclude={"secret"}) | {"user_id": user.id, "hash": _digest(secret)}
        connection.execute(insert(tables.api_token).values(**values))
        audit.record(connection, database, "token.created", user.id, user_id=user.id, token=made.id, scopes=scopes)
    return made


def find_token(database: Database, secret: str) -> tuple[User, tuple[Scope, ...]] | None:
    """Who a secret belongs to and what it allows, or None when it is unknown, too old, revoked, or its user is gone."""
    token = tables.api_token
    query = (
        select(tables.user, token.c.scopes, token.c.expires_at, token.c.used_at, token.c.id.label("token_id"))
        .join(token, token.c.user_id == tables.user.c.id)
        .where(token.c.hash == _digest(secret), token.c.revoked_at.is_(None), tables.user.c.disabled_at.is_(None))
    )
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None or (row["expires_at"] is not None and row["expires_at"] < database.now()):
        return None
    late, key = pending(database), row["token_id"]
    used_at = late.last_seen(token, key, row["used_at"])
    if used_at is None or not database.later(-60) <= used_at <= database.later(60):
        late.saw(token, key, database.now(), update(token).where(token.c.id == key).values(used_at=database.now()))
    return user_of(row), tuple(row["scopes"])


def list_tokens(database: Database, user: User) -> list[Token]:
    """The user's tokens, the newest first."""
    query = select(tables.api_token).where(tables.api_token.c.user_id == user.id).order_by(tables.api_token.c.id.desc())
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    used = pending(database).last_seen
    latest = [{"used_at": used(tables.api_token, row["id"], row["used_at"])} for row in rows]
    return [
        Token.model_validate({name: row[name] for name in Token.model_fields} | known)
        for row, known in zip(rows, latest, strict=True)
    ]


def revoke_token(database: Database, token_id: str, *, by: User) -> None:
    """Ends a token; raises AccessError unless it is one's own or one is an administrator."""
    token = tables.api_token
    with database.write() as connection:
        owner = connection.execute(select(token.c.user_id).where(token.c.id == token_id)).scalar_one_or_none()
        if owner is None:
            raise UnknownError(f"There is no token {token_id!r:.60}.")
        if owner != by.id and not may(by.role, "admin"):
            raise AccessError("Only its owner or an administrator ends a token.")
        connection.execute(update(token).where(token.c.id == token_id).values(revoked_at=database.now()))
        audit.record(connection, database, "token.revoked", owner, user_id=by.id, token=token_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
