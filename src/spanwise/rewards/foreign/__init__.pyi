from .config import SourceConfig as SourceConfig
from .critic import Critics as Critics
from .functions import FunctionReward as FunctionReward
from .functions import HttpReward as HttpReward
from .functions import own_function as own_function
from .functions import own_source as own_source
from .models import ModelReward as ModelReward
from .models import load_model as load_model
