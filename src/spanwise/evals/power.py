"""How many prompts a comparison needs: the other half of a significance test.

Normal approximation throughout: with n prompts and a standard deviation s per prompt, a difference is seen at two-sided
level alpha with the wanted power when n = ((z[1 - alpha/2] + z[power]) * s / difference)^2. Knows nothing of win rates.
"""

import math

from scipy.special import ndtr, ndtri

from spanwise.errors import ConfigError

ALPHA = 0.05
POWER = 0.8


def prompts_needed(deviation: float, difference: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Prompts to see `difference` when single prompts vary with `deviation`, both in the same unit; 2 at the least."""
    if difference <= 0 or deviation < 0:
        raise ConfigError(f"A difference above 0 and a deviation of at least 0 are needed, not {difference:g}.")
    quantiles = float(ndtri(1 - alpha / 2) + ndtri(power))
    return max(2, math.ceil((quantiles * deviation / difference) ** 2))


def power_of(prompts: int, deviation: float, difference: float, *, alpha: float = ALPHA) -> float:
    """The chance that `prompts` show a true `difference`, in either direction."""
    if prompts < 1:
        raise ConfigError(f"Power needs at least one prompt, not {prompts}.")
    if deviation == 0:
        return 1.0 if difference else alpha
    shift, bound = abs(difference) * math.sqrt(prompts) / deviation, float(ndtri(1 - alpha / 2))
    return float(ndtr(shift - bound) + ndtr(-shift - bound))
