"""Opens a project: its folder, its description, its database; registers what changed in the description.

Another taxonomy or other guidelines become new versions beside the old ones, because annotations name the version
that they were made under.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from spanwise.annotate.store.audit import record
from spanwise.annotate.store.database import Database, add_absent, new_id, sqlite_url
from spanwise.annotate.store.project import Project, ProjectConfig, digest, read_description
from spanwise.annotate.store.refusals import UnknownError
from spanwise.annotate.store.tables import guideline, label_set, project, queue
from spanwise.annotate.store.upkeep import upgrade

DATA = "annotations.db"
_VERSION = select(queue.c.version).where(queue.c.project_id == bindparam("project"))


def open_project(folder: Path, *, preset_name: str | None = None, url: str | None = None) -> tuple[Database, Project]:
    """The database and the project in `folder`, brought up to date; a new folder is made from a preset.

    `url` wins over the database that the description names. Raises ConfigError where there is no project and no
    preset was named.
    """
    config = read_description(folder, preset_name=preset_name)
    database = database_of(folder, url=url)
    try:
        upgrade(database)
        return database, register(database, config)
    except BaseException:
        database.close()
        raise


def database_of(folder: Path, *, url: str | None = None) -> Database:
    """The database of the project in `folder`, whatever its shape."""
    config = read_description(folder)
    return Database(url or config.database or sqlite_url(folder.absolute() / DATA))


def register(database: Database, config: ProjectConfig) -> Project:
    """The project of `config`, made or brought up to date in the database."""
    with database.write("spanwise-register") as connection:
        row = connection.execute(select(project).where(project.c.slug == config.name)).mappings().first()
        project_id = row["id"] if row else _new_project(connection, database, config)
        labels = _version(connection, label_set, project_id, config.label_set(), categories=_categories(config))
        words = _version(connection, guideline, project_id, config.guidelines, markdown=config.guidelines)
        if row and row["title"] != config.title:
            connection.execute(update(project).where(project.c.id == project_id).values(title=config.title))
        for kind, (version_id, version, is_new) in {"label_set": labels, "guideline": words}.items():
            if is_new and row:
                record(connection, database, f"{kind}.changed", project_id, version=version, id=version_id)
    return Project(
        id=project_id,
        config=config,
        label_set_id=labels[0],
        label_set_version=labels[1],
        guideline_id=words[0],
        guideline_version=words[1],
        round=row["round"] if row else 1,
    )


def current(database: Database, described: Project) -> Project:
    """The project with the round that is in force by now."""
    query = select(project.c.round).where(project.c.id == described.id)
    with database.read() as connection:
        return replace(described, round=connection.execute(query).scalar_one())


def queue_version(connection: Connection, described: Project) -> int:
    """A number that rises whenever slots become open or change their place in the queue."""
    return connection.execute(_VERSION, {"project": described.id}).scalar_one_or_none() or 0


def touch_queue(connection: Connection, described: Project) -> None:
    """Says to everybody that slots became open, or changed their place."""
    raised = update(queue).where(queue.c.project_id == described.id).values(version=queue.c.version + 1)
    if not connection.execute(raised).rowcount:
        add_absent(connection, queue, [{"project_id": described.id, "version": 1}])


def guideline_text(database: Database, project: Project, version: int) -> str:
    """The guidelines of one version, in Markdown; raises UnknownError."""
    query = select(guideline.c.markdown).where(guideline.c.project_id == project.id, guideline.c.version == version)
    with database.read() as connection:
        markdown = connection.execute(query).scalar_one_or_none()
    if markdown is None:
        raise UnknownError(f"There is no version {version} of the guidelines.")
    return markdown


def _new_project(connection: Connection, database: Database, config: ProjectConfig) -> str:
    project_id = new_id()
    row = {"id": project_id, "slug": config.name, "title": config.title, "round": 1, "created_at": database.now()}
    connection.execute(insert(project).values(**row))
    record(connection, database, "project.created", project_id, slug=config.name)
    return project_id


def _version(connection: Connection, table: Any, project_id: str, content: str, **values: Any) -> tuple[str, int, bool]:
    """(id, version, whether it is new) of the row with this content; an old one comes back into force."""
    sha256 = digest(content)
    of_project = table.c.project_id == project_id
    existing = connection.execute(select(table).where(of_project, table.c.sha256 == sha256)).mappings().first()
    if existing:
        return existing["id"], existing["version"], False
    last = connection.execute(select(func.max(table.c.version)).where(of_project)).scalar_one()
    version_id, version = new_id(), (last or 0) + 1
    row = {"id": version_id, "project_id": project_id, "version": version, "sha256": sha256, **values}
    connection.execute(insert(table).values(**row))
    return version_id, version, True


def _categories(config: ProjectConfig) -> list[dict[str, Any]]:
    return [category.model_dump(mode="json") for category in config.categories]
