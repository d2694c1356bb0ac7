from .config import CriticConfig as CriticConfig
from .config import CritiqueConfig as CritiqueConfig
from .critic import Critic as Critic
from .critic import CriticCounts as CriticCounts
from .critique import CritiqueReport as CritiqueReport
from .critique import criticise as criticise
from .reading import Critique as Critique
