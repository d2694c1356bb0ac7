"""Triggers that refuse what no code of ours may do: change a text or an annotation, rewrite the audit trail."""

from sqlalchemy import Connection

UNCHANGEABLE = (
    "text", "event", "annotation", "judgement", "span", "missing", "evidence", "correction", "preference", "ranking",
    "answer",
)  # fmt: skip
"""Tables whose rows are never updated."""


def create_triggers(connection: Connection) -> None:
    """Creates the triggers in the dialect of `connection`."""
    make = _on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql
    for table in UNCHANGEABLE:
        make(connection, f"{table}_is_never_updated", "UPDATE", table, "")
    make(connection, "event_is_never_deleted", "DELETE", "event", "")
    make(connection, "work_is_never_deleted", "DELETE", "annotation", "OLD.batch_id IS NULL")


def _on_sqlite(connection: Connection, name: str, act: str, table: str, when: str) -> None:
    condition = f"WHEN {when} " if when else ""
    statement = f"CREATE TRIGGER {name} BEFORE {act} ON \"{table}\" {condition}BEGIN SELECT RAISE(ABORT, '{name}'); END"
    connection.exec_driver_sql(statement)


def _on_postgresql(connection: Connection, name: str, act: str, table: str, when: str) -> None:
    body = f"BEGIN RAISE EXCEPTION '{name}'; END"
    condition = f"WHEN ({when}) " if when else ""
    connection.exec_driver_sql(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS '{_quoted(body)}'")
    connection.exec_driver_sql(
        f'CREATE TRIGGER {name} BEFORE {act} ON "{table}" FOR EACH ROW {condition}EXECUTE FUNCTION {name}()'
    )


def _quoted(body: str) -> str:
    return body.replace("'", "''")


_COUNTS = ("open", "leased", "submitted", "skipped")


def create_tally_triggers(connection: Connection) -> None:
    """Keeps `tally` true: a row per item, and in it how many of the item's slots are in which state."""
    zeros = ", 0" * len(_COUNTS)
    add, remove = _counted("NEW", 1), _counted("OLD", -1)
    changed = "WHEN (OLD.state <> NEW.state)"
    made = f"INSERT INTO tally VALUES (NEW.id, NEW.project_id, NEW.position{zeros})"
    for name, moment, table, when, statements in (
        ("tally_begins", "AFTER INSERT", "item", "", [made]),
        ("tally_ends", "BEFORE DELETE", "item", "", ["DELETE FROM tally WHERE item_id = OLD.id"]),
        ("tally_adds", "AFTER INSERT", "slot", "", [add]),
        ("tally_removes", "AFTER DELETE", "slot", "", [remove]),
        ("tally_moves", "AFTER UPDATE", "slot", changed, [remove, add]),
    ):
        body = "; ".join(statements)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f'CREATE TRIGGER {name} {moment} ON "{table}" {when} BEGIN {body}; END')
            continue
        given = "OLD" if "DELETE" in moment else "NEW"
        code = _quoted(f"BEGIN {body}; RETURN {given}; END")
        connection.exec_driver_sql(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS '{code}'")
        row = f"FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
        connection.exec_driver_sql(f'CREATE TRIGGER {name} {moment} ON "{table}" {row}')


def _counted(row: str, by: int) -> str:
    counts = ", ".join(f"{name} = {name} + CASE WHEN {row}.state = '{name}' THEN {by} ELSE 0 END" for name in _COUNTS)
    return f"UPDATE tally SET {counts} WHERE item_id = {row}.item_id"
