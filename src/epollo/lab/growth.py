"""How a cost grows with the number of idle connections, by a fit.

Facts: the noise of a machine is a share of what is measured, so errors are relative. If others use the
machine too, two rounds of the same measurement differ by a tenth.
Decision: a line, cost = base + slope * idle, by least squares of the relative errors of the medians.
If the line misses the medians by more than `MISFIT`, growth is *other*. Else, if the line ends within
`FLAT` of its begin, or no further off than the rounds scatter about it, growth is *constant*.
Price: a growth that is smaller than the noise is not seen. More rounds make the noise less.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from epollo.annotations import Final, Literal

FLAT: Final = 1.1
"""A cost that ends within this factor of where it began is called constant."""
MISFIT: Final = 0.25
"""Where the line misses by more (root of the mean of the squared relative errors), there is no line."""

Kind = Literal["constant", "linear", "falling", "other"]


@dataclass(frozen=True)
class Growth:
    """A fitted line; ``slope`` is cost per idle connection, ``misfit`` a share of the cost."""

    kind: Kind
    base: float
    slope: float
    ratio: float
    """The line at the greatest number of idle connections over the line at the least."""
    misfit: float
    scatter: float
    """The share by which a constant cost might seem to grow, by the scatter of the rounds alone."""


def fit_growth(points: Sequence[tuple[float, Sequence[float]]]) -> Growth | None:
    """Fit idle connections and the costs of every round.

    None for fewer than three points, or costs that are not above 0: any two points are on a line, which
    would prove nothing.
    """
    if len({idle for idle, _ in points}) < 3 or any(min(costs) <= 0 for _, costs in points):
        return None
    medians = [(idle, statistics.median(costs)) for idle, costs in points]
    base, slope = _fit_line(medians)
    least, greatest = min(idle for idle, _ in points), max(idle for idle, _ in points)
    begin, end = base + slope * least, base + slope * greatest
    ratio = end / begin if begin > 0 else math.inf
    misfit = math.sqrt(_sum_squares(medians, base, slope) / len(medians))
    rounds = [(idle, cost) for idle, costs in points for cost in costs]
    scatter = _measure_scatter(rounds, base, slope)
    bound = max(FLAT, 1 + scatter)
    if misfit > MISFIT:
        kind: Kind = "other"
    elif ratio < 1 / bound:
        kind = "falling"
    elif ratio <= bound:
        kind = "constant"
    else:
        kind = "linear"
    return Growth(kind, base, slope, ratio, misfit, scatter)


def _fit_line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return base and slope of the line with the least squared relative errors."""
    # Weighted least squares: an error counts in units of the cost that it is an error of.
    weights = [1 / cost**2 for _, cost in points]
    total = sum(weights)
    idle_mean = sum(w * idle for w, (idle, _) in zip(weights, points, strict=True)) / total
    cost_mean = sum(w * cost for w, (_, cost) in zip(weights, points, strict=True)) / total
    spread = sum(w * (idle - idle_mean) ** 2 for w, (idle, _) in zip(weights, points, strict=True))
    slope = (
        sum(
            w * (idle - idle_mean) * (cost - cost_mean)
            for w, (idle, cost) in zip(weights, points, strict=True)
        )
        / spread
    )
    return cost_mean - slope * idle_mean, slope


def _sum_squares(points: Sequence[tuple[float, float]], base: float, slope: float) -> float:
    """Return the sum of the squared relative errors of a line."""
    return sum(((base + slope * idle) / cost - 1) ** 2 for idle, cost in points)


def _measure_scatter(rounds: Sequence[tuple[float, float]], base: float, slope: float) -> float:
    """Return how far the line of a constant cost might rise over the whole range, by chance.

    The standard error of a fitted rise is the standard deviation of the points times a factor that
    follows from their places. Chance seldom exceeds twice that, and more the fewer degrees of freedom
    are left (Student's t, roughly).
    """
    left = len(rounds) - 2
    deviation = math.sqrt(_sum_squares(rounds, base, slope) / left)
    idle = [idle for idle, _ in rounds]
    mean = statistics.fmean(idle)
    lever = (max(idle) - min(idle)) / math.sqrt(sum((one - mean) ** 2 for one in idle))
    return (2 + 4 / left) * deviation * lever
