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
