from .client import AnnotationClient as AnnotationClient
from .client import ApiError as ApiError
