from .table import CORPORA as CORPORA
