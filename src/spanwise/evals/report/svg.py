"""Figures as inline SVG that takes its colours and fonts from the page, so that one plot serves light and dark.

Plots draw with the stand-in colours below; `inline_svg` turns each into a CSS variable of the report's stylesheet.
Text stays text. It knows nothing of what is plotted.
"""

import io
import re
import warnings
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#010101"
MUTED = "#020202"
RULE = "#030303"
GOOD = "#040404"
BAD = "#050505"
PAPER = "#060606"
SERIES = tuple(f"#0a000{index}" for index in range(8))
"""One per arm, in order; there are eight, then they begin anew with another dash."""
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (6, 2, 1.2, 2)))
"""Line styles, so that no arm is told by its colour alone."""

_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", GOOD: "good", BAD: "bad", PAPER: "paper"} | {
    colour: f"series-{index}" for index, colour in enumerate(SERIES)
}


def series_style(index: int) -> dict[str, object]:
    """Colour and dash of the `index`-th arm."""
    return {"color": SERIES[index % len(SERIES)], "linestyle": DASHES[index % len(DASHES)]}


def panel(width: float = 4.6, height: float = 2.6) -> tuple[Figure, Axes]:
    """An empty plot of the report's look, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)  # type: ignore[union-attr]
    axes = figure.add_subplot()
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(colors=MUTED, length=0, labelsize=11)
    axes.grid(visible=True, color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an `<svg>` element; `name` is unique on the page, `description` is for who cannot see it."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spanwise"}), warnings.catch_warnings():
        # The browser has glyphs that the font of the layout lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    body = text[text.index("<svg") :].strip()
    return _themed(_named(body, name, description))


def _named(svg: str, name: str, description: str) -> str:
    """Gives the element its role and label, and its ids a prefix that no other plot of the page has."""
    prefix = f"{name}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    head, _, rest = svg.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    label = _escape(description)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view[0] if view else ""} role="img" aria-label="{label}">{rest}'


def _themed(svg: str) -> str:
    for colour, name in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    for pattern in (
        r"<metadata>.*?</metadata>\s*",
        r" font-family: [^;]*;",
        r' transform="rotate\(-0 [^"]*\)"',
        r"<g [^>]*/>\s*",
    ):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    return svg


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def shortened(text: str, limit: int) -> str:
    """`text` cut to `limit` characters with an ellipsis, for labels inside plots."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def thinned(points: Sequence[tuple[float, float | None]], limit: int = 300) -> Sequence[tuple[float, float | None]]:
    """At most about `limit` of the points, evenly spaced, first and last among them."""
    if len(points) <= limit:
        return points
    stride = -(-len(points) // limit)
    kept = points[::stride]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]
