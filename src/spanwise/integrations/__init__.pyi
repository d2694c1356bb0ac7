from .doctor import Finding as Finding
from .doctor import examine_verl as examine_verl
from .export import export_verl as export_verl
from .registry import row_of as row_of
