from .checks import examine_setup as examine_setup
from .project import check_free as check_free
from .project import make_project as make_project
