"""How Sphinx builds the site: `make docs`. Warnings are errors; nothing is loaded from elsewhere."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent / "src")]

project = "Spanwise"
author = "the authors of Spanwise"
project_copyright = "the authors of Spanwise; licence: Apache-2.0"
version = release = installed_version("spanwise")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "reference_from_code"]
exclude_patterns = ["extensions"]
suppress_warnings = ["myst.header"]  # generated parts of a page begin below its own headings

# Docstrings are Markdown in miniature; the extension `docstrings` writes them as reStructuredText.
default_role = "code"
smartquotes = False  # a page shows what is typed
autosummary_generate = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config, RENAMED"}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}
nb_output_stderr = "remove"

html_theme = "pydata_sphinx_theme"
html_title = "Spanwise"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "friendly",
    "pygments_dark_style": "monokai",
}
