from .anatomy import Lengths as Lengths
from .anatomy import examine_model as examine_model
from .checks import examine_setup as examine_setup
from .project import Project as Project
from .project import check_free as check_free
from .project import make_project as make_project
