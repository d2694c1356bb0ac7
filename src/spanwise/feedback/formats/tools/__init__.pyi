from .table import TOOLS as TOOLS
