"""People: their names, their roles, and what each role may do. Passwords and sessions lie in `logins.py`."""

from typing import Literal, get_args

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from spanwise.annotate.store import AccessError, Database, UnknownError, audit, new_id, tables
from spanwise.core import DataError
from spanwise.feedback import Record
from spanwise.text import unstorable

Role = Literal["admin", "manager", "annotator", "viewer"]
Action = Literal["view", "annotate", "adjudicate", "manage", "import", "export", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
LOCAL_NAME = "me"
_LONGEST_NAME = 100

_MAY: dict[str, frozenset[Action]] = {
    "viewer": frozenset({"view"}),
    "annotator": frozenset({"annotate"}),
    "manager": frozenset({"view", "annotate", "adjudicate", "manage", "import", "export"}),
    "admin": frozenset(get_args(Action)),
}
"""What each role may do: "view" is the overview, other people's annotations and gold answers."""


class User(Record):
    """Somebody with an account."""

    id: str
    name: str
    display_name: str
    role: Role
    disabled: bool
    has_password: bool


def may(role: str, action: Action) -> bool:
    """Whether `role` allows `action`; an unknown role allows nothing."""
    return action in _MAY.get(role, frozenset())


def require(user: User, action: Action) -> None:
    """Raises AccessError unless the user's role allows `action`."""
    if user.disabled or not may(user.role, action):
        raise AccessError(f"{user.name} is {user.role} here and may not {action}; ask an administrator.")


def name_key(name: str) -> str:
    """Names are equal when they differ only in case."""
    return name.strip().casefold()


def create_user(
    database: Database, name: str, *, role: str = "annotator", display_name: str = "", by: User | None = None
) -> User:
    """A new account without a password; raises DataError for an unusable or taken name."""
    _check_name(name)
    _check_role(role)
    with database.write("spanwise-users") as connection:
        if connection.execute(select(tables.user.c.id).where(tables.user.c.name_key == name_key(name))).first():
            raise DataError(f"There is a user called {name!r} already; choose another name.")
        row = {
            "id": new_id(),
            "name_key": name_key(name),
            "name": name.strip(),
            "display_name": display_name or name.strip(),
            "role": role,
            "created_at": database.now(),
        }
        connection.execute(insert(tables.user).values(**row))
        audit.record(connection, database, "user.created", row["id"], user_id=by.id if by else None, role=role)
        return _loaded(connection, name)


def local_user(database: Database) -> User:
    """The one user of a server that only this machine can reach: an administrator called "me"."""
    try:
        return get_user(database, LOCAL_NAME)
    except UnknownError:
        return create_user(database, LOCAL_NAME, role="admin")


def get_user(database: Database, name: str) -> User:
    """The user called `name`; raises UnknownError."""
    with database.read() as connection:
        return _loaded(connection, name)


def list_users(database: Database) -> list[User]:
    """All users by name."""
    with database.read() as connection:
        rows = connection.execute(select(tables.user).order_by(tables.user.c.name_key)).mappings()
        return [user_of(row) for row in rows]


def set_role(database: Database, name: str, role: str, *, by: User | None = None) -> User:
    """Gives another role and ends the user's sessions; raises DataError when no administrator would be left."""
    _check_role(role)
    return _changed(database, name, {"role": role}, kind="user.role", by=by)


def disable(database: Database, name: str, *, disabled: bool = True, by: User | None = None) -> User:
    """Shuts an account, or opens it again; what its owner said stays."""
    at = database.now() if disabled else None
    return _changed(database, name, {"disabled_at": at}, kind="user.disabled" if disabled else "user.enabled", by=by)


def user_of(row: RowMapping) -> User:
    """The user that a row of the table holds."""
    shown = {name: row[name] for name in ("id", "name", "display_name", "role")}
    return User(**shown, disabled=row["disabled_at"] is not None, has_password=row["password_hash"] is not None)


def _loaded(connection: Connection, name: str) -> User:
    row = connection.execute(select(tables.user).where(tables.user.c.name_key == name_key(name))).mappings().first()
    if row is None:
        raise UnknownError(f"There is no user called {name!r:.60}.")
    return user_of(row)


def _changed(database: Database, name: str, values: dict[str, str | None], *, kind: str, by: User | None) -> User:
    with database.write("spanwise-users") as connection:
        user = _loaded(connection, name)
        connection.execute(update(tables.user).where(tables.user.c.id == user.id).values(**values))
        if user.role == "admin" and not user.disabled:
            _keep_an_administrator(connection)
        connection.execute(tables.session.delete().where(tables.session.c.user_id == user.id))
        audit.record(connection, database, kind, user.id, user_id=by.id if by else None, **values)
        return _loaded(connection, name)


def _keep_an_administrator(connection: Connection) -> None:
    able = tables.user.c.role == "admin", tables.user.c.disabled_at.is_(None)
    if not connection.execute(select(func.count()).select_from(tables.user).where(*able)).scalar_one():
        raise DataError("No administrator would be left; make another one first.")


def _check_name(name: str) -> None:
    bare = name.strip()
    if not bare or len(bare) > _LONGEST_NAME or unstorable(name) or not bare.isprintable():
        raise DataError(f"{name!r:.60} is no usable name; give 1 to {_LONGEST_NAME} printable characters.")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise DataError(f"{role!r:.60} is no role; it is one of {', '.join(ROLES)}.")
