"""How a cost grows with the number of idle connections: fitted, not believed.

Facts: the noise of a machine is a share of what is measured, so errors are taken relative to it.
Decision: a line, cost = base + slope * idle, by least squares of the relative errors. Where the line
at its end stands within `FLAT` of its beginning, growth is *constant*; where the line misses the
points by more than `MISFIT`, there is no line, and growth is called *other*.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

FLAT: Final = 1.1
"""A cost that ends within this factor of where it began is called constant."""
MISFIT: Final = 0.25
"""A line that misses by more than this (root of the mean of the squared relative errors) is none."""

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


def fit_growth(points: Sequence[tuple[float, float]]) -> Growth | None:
    """Fit idle connections and costs; None for fewer than three points, or costs that are not above 0.

    Two points are on a line whatever they are: they would prove nothing.
    """
    if len({idle for idle, _ in points}) < 3 or any(cost <= 0 for _, cost in points):
        return None
    base, slope = _fit_line(points)
    least, greatest = min(idle for idle, _ in points), max(idle for idle, _ in points)
    begin, end = base + slope * least, base + slope * greatest
    ratio = end / begin if begin > 0 else math.inf
    misfit = math.sqrt(
        sum(((base + slope * idle - cost) / cost) ** 2 for idle, cost in points) / len(points)
    )
    if misfit > MISFIT:
        kind: Kind = "other"
    elif ratio < 1 / FLAT:
        kind = "falling"
    elif ratio <= FLAT:
        kind = "constant"
    else:
        kind = "linear"
    return Growth(kind, base, slope, ratio, misfit)


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
