from .classifier import load_classifier as load_classifier
from .config import ScorerUse as ScorerUse
from .config import load_scorer as load_scorer
from .ngrams import FILE as FILE
from .ngrams import NgramScorer as NgramScorer
from .ngrams import train_ngram_scorer as train_ngram_scorer
from .scorer import Probability as Probability
from .scorer import Scorer as Scorer
