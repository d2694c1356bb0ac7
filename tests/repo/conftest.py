"""Puts this folder on the path: the tests of the repository share `package_map`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
