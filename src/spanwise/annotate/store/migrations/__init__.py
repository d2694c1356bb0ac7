"""Steps from one shape of the annotation database to the next, run by Alembic (`upkeep.py`)."""

__all__: list[str] = []
