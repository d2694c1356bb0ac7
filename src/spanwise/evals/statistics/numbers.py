"""How numbers are written in tables, sentences and plots, so that all of them agree.

A missing number is "-", never 0. Percentages are stored as shares and shown times 100; their differences are points.
"""

from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.results import MetricInfo

MISSING = "-"
MINUS = "\N{MINUS SIGN}"
ROUNDING = 1e-9
"""What lies nearer to 0 than this is the rounding of sums, and is written as 0."""


def scale(info: MetricInfo) -> float:
    """What a stored value is multiplied by to be shown."""
    return 100.0 if info.unit == "%" else 1.0


def number(value: float | None, info: MetricInfo, *, signed: bool = False) -> str:
    """The value without its unit; `signed` writes a plus before positive numbers."""
    if value is None:
        return MISSING
    digits = info.digits if info.digits is not None else (1 if info.unit == "%" else 3)
    rounded = round(value * scale(info), digits) + 0.0  # turns -0.0 into 0.0
    text = f"{abs(rounded):.{digits}f}"
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return sign + text


def quantity(value: float | None, info: MetricInfo) -> str:
    """The value with its unit."""
    return with_unit(number(value, info), info.unit)


def difference_unit(info: MetricInfo) -> str:
    """The unit of a difference of two values."""
    return "points" if info.unit == "%" else info.unit


def with_unit(text: str, unit: str) -> str:
    """`text` followed by its unit, or alone where there is none or nothing was measured."""
    return f"{text} {unit}" if unit and text != MISSING else text


def interval(estimate: Estimate | None, info: MetricInfo, *, signed: bool = False) -> str:
    """`[low, high]`, or the empty string where there is no interval."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"[{number(estimate.low, info, signed=signed)}, {number(estimate.high, info, signed=signed)}]"


def mean_and_interval(estimate: Estimate | None, info: MetricInfo, *, signed: bool = False) -> str:
    """`mean [low, high]` without the unit, and how much could not be scored; "-" where nothing was measured."""
    mean = number(estimate.mean if estimate else None, info, signed=signed)
    missing = f"({estimate.unscored:,} unscored)" if estimate and estimate.unscored else ""
    return " ".join(filter(None, [mean, interval(estimate, info, signed=signed), missing]))


def plain(value: float | None) -> str:
    """Three significant digits, for numbers that no MetricInfo describes; what is 0 but for rounding is "0"."""
    if value is None:
        return MISSING
    if abs(value) < ROUNDING:
        return "0"
    text = f"{abs(value):.3g}" if abs(value) < 1000 else f"{abs(value):,.0f}"
    return (MINUS if value < 0 else "") + text


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
