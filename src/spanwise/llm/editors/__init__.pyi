from .config import EditorConfig as EditorConfig
from .generate import generate_edits as generate_edits
