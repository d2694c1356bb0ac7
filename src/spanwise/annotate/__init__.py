"""The annotation app: `store` keeps, `people` log in, `work` decides, `exchange` and `rounds` connect, `web` shows.

May import core, text and feedback alone. A new page is an endpoint in `web.routes`, a template and a script.
"""

__all__: list[str] = []
