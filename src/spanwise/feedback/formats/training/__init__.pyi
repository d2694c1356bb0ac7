from .table import TRAINING as TRAINING
