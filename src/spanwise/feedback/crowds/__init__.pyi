from .annotators import Reliability as Reliability
from .annotators import weigh_annotators as weigh_annotators
from .votes import CrowdMethod as CrowdMethod
