"""The fit says what the figures say, whatever was hoped for."""

import math
import random

import pytest

from epollo.lab.growth import FLAT, fit_growth

IDLE = (0, 10, 100, 1000, 5000, 10_000)


def fit(*costs: float) -> str:
    growth = fit_growth([(idle, [cost]) for idle, cost in zip(IDLE, costs, strict=True)])
    assert growth is not None
    return growth.kind


def fit_rounds(end: float, noise: float, rounds: int = 3) -> str:
    """Fit a cost that ends at a factor, each round of it off by a share more or less."""
    random.seed(11)
    growth = fit_growth(
        [
            (
                idle,
                [
                    20
                    * (1 + (end - 1) * idle / IDLE[-1])
                    * (1 + noise * (number - (rounds - 1) / 2) + random.uniform(-noise, noise) / 4)
                    for number in range(rounds)
                ],
            )
            for idle in IDLE
        ]
    )
    assert growth is not None
    return growth.kind


def test_a_line_is_found_with_its_base_and_its_slope() -> None:
    growth = fit_growth([(idle, [12 + 0.5 * idle]) for idle in IDLE])
    assert growth is not None
    assert growth.kind == "linear"
    assert growth.base == pytest.approx(12)
    assert growth.slope == pytest.approx(0.5)
    assert growth.ratio == pytest.approx(5012 / 12)
    assert growth.misfit == pytest.approx(0, abs=1e-9)


def test_what_stays_is_constant() -> None:
    assert fit(20, 20, 20, 20, 20, 20) == "constant"
    assert fit(20, 21, 19, 20.5, 19.5, 20) == "constant"


@pytest.mark.parametrize(("end", "kind"), [(FLAT - 0.01, "constant"), (FLAT + 0.01, "linear")])
def test_constant_ends_at_a_factor(end: float, kind: str) -> None:
    costs = [20 * (1 + (end - 1) * idle / IDLE[-1]) for idle in IDLE]
    assert fit(*costs) == kind


@pytest.mark.parametrize("rounds", [2, 3, 5])
@pytest.mark.parametrize(
    ("end", "noise", "kind"),
    [
        # Nothing to hide behind: what grows is called so.
        (1.3, 0.01, "linear"),
        (2.0, 0.05, "linear"),
        (50.0, 0.15, "linear"),
        # Rounds that differ by a tenth cannot tell a twelfth.
        (1.12, 0.15, "constant"),
        (1.17, 0.2, "constant"),
        (1.05, 0.01, "constant"),
        (1 / 1.12, 0.15, "constant"),
        (1 / 1.5, 0.02, "falling"),
    ],
)
def test_what_is_within_the_scatter_of_the_rounds_is_no_growth(
    end: float, noise: float, kind: str, rounds: int
) -> None:
    assert fit_rounds(end, noise, rounds) == kind


def test_one_short_round_is_judged_by_how_far_its_points_are_off_the_line() -> None:
    """What --quick measured on a machine with other work on it."""

    def fit_quick(*costs: float) -> str:
        growth = fit_growth(
            [(idle, [cost]) for idle, cost in zip((0, 100, 500), costs, strict=True)]
        )
        assert growth is not None
        return growth.kind

    assert fit_quick(16.0, 17.6, 18.8) == "constant"
    assert fit_quick(16.0, 28.0, 75.0) == "linear"
    assert fit_quick(16.0, 17.0, 21.0) == "linear"


def test_an_epoll_that_grew_would_not_be_called_constant() -> None:
    """The report says what was measured of any poller, not what is said of its name."""
    assert fit(20, 21, 22, 40, 120, 220) != "constant"


@pytest.mark.parametrize(
    "costs",
    [
        [1 + idle**2 for idle in IDLE],
        [1 + math.log1p(idle) for idle in IDLE],
        [10, 100, 10, 100, 10, 100],
        [100, 100, 100, 60, 30, 10],
    ],
    ids=["square", "logarithm", "noise", "falling"],
)
def test_what_is_no_line_is_not_called_one(costs: list[float]) -> None:
    assert fit(*costs) == "other"


def test_a_cost_that_falls_is_not_called_constant() -> None:
    assert fit(*(100 - 0.003 * idle for idle in IDLE)) == "falling"


def test_noise_of_a_machine_changes_no_verdict() -> None:
    random.seed(7)
    for _ in range(50):
        noise = [random.uniform(0.97, 1.03) for _ in IDLE]
        assert fit(*(20 * factor for factor in noise)) == "constant"
        line = ((5 + idle) * factor for idle, factor in zip(IDLE, noise, strict=True))
        assert fit(*line) == "linear"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0, [1.0])],
        [(0, [1.0]), (10, [2.0])],
        [(0, [1.0]), (0, [2.0]), (1, [2.0])],
        [(0, [0.0]), (1, [1.0]), (2, [2.0])],
    ],
)
def test_too_little_tells_nothing(points: list[tuple[float, list[float]]]) -> None:
    assert fit_growth(points) is None
