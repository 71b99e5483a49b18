"""Figures of rounds: a ratio is taken within each, and the median is held against a bar."""

import pytest

from bench.comparisons import make_workload
from results import Figure, Ratio, evaluate_ratio, judge


def test_a_ratio_is_taken_within_each_round() -> None:
    workload = make_workload(combined=(5.0, 20.0, 6.0), process=(5.0, 10.0, 4.0))
    assert evaluate_ratio(workload, Ratio("combined", "process")) == Figure(1.5, 1.0, 2.0)


def test_what_was_not_measured_or_answered_wrongly_has_no_ratio() -> None:
    workload = make_workload(process=(5.0,), combined=(5.0,))
    assert evaluate_ratio(workload, Ratio("combined", "nginx-log")) is None
    workload["servers"]["combined"]["wrong"] = "no"
    assert evaluate_ratio(workload, Ratio("combined", "process")) is None


@pytest.mark.parametrize(
    ("figure", "ratio", "verdict"),
    [
        (Figure(1.15, 1.1, 1.15), Ratio("a", "b", 1.15), "yes"),
        (Figure(1.1, 1.0, 1.2), Ratio("a", "b", 1.15), "yes, narrowly"),
        (Figure(1.3, 1.2, 1.4), Ratio("a", "b", 1.15), "no"),
        (Figure(1.0, 0.9, 1.1), Ratio("a", "b", 1.0, is_inclusive=False), "no, narrowly"),
        (Figure(9.0, 9.0, 9.0), Ratio("a", "b"), ""),
    ],
)
def test_the_median_decides_and_rounds_that_disagree_are_said(
    figure: Figure, ratio: Ratio, verdict: str
) -> None:
    assert judge(figure, ratio) == verdict
