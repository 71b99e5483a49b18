import pytest

from bars import Bar, evaluate_bar, evaluate_bars
from bench.comparisons import make_comparison, make_result, make_rounds
from results import IdleMemory

BELOW = Bar("1k", "less than nginx's best", "nginx", 1.0, is_inclusive=False)
ITSELF = Bar("idle-10000", "at most 1.1 x", "itself", 1.1)
MEMORY = Bar("idle-10000", "at most 600 octets", "octets", 600)


@pytest.mark.parametrize(
    ("ours", "theirs", "reached"),
    [
        ([4.0, 4.1, 4.2], [5.0, 5.1, 5.2], "yes"),
        ([4.0, 4.9, 5.1], [5.0, 5.1, 5.2], "yes, narrowly"),
        ([5.3, 5.4, 5.5], [5.0, 5.1, 5.2], "no"),
        ([5.1, 5.4, 5.5], [5.0, 5.1, 5.2], "no, narrowly"),
        ([5.0], [5.0], "no"),
    ],
)
def test_medians_decide_and_overlapping_rounds_are_said(
    ours: list[float], theirs: list[float], reached: str
) -> None:
    comparison = make_comparison(
        _1k={
            "epollo": make_result("epollo", make_rounds(*ours)),
            "nginx": make_result("nginx", make_rounds(*theirs)),
        }
    )
    assert evaluate_bar(comparison, BELOW).reached == reached


def test_a_figure_says_both_sides_and_their_ratio() -> None:
    comparison = make_comparison(
        _1k={
            "epollo": make_result("epollo", make_rounds(4.5)),
            "nginx": make_result("nginx", make_rounds(5.0)),
        }
    )
    assert evaluate_bar(comparison, BELOW).figure == "4.5 µs against 5 µs: 0.90 x"


def test_a_server_that_answers_wrongly_is_no_measure() -> None:
    comparison = make_comparison(
        _1k={
            "epollo": make_result("epollo", make_rounds(4.0)),
            "nginx": make_result("nginx", make_rounds(5.0), wrong="status 404, not 200"),
        }
    )
    assert evaluate_bar(comparison, BELOW).reached == "not measured"


@pytest.mark.parametrize(
    ("after", "reached"), [(10_000 * 600, "yes"), (10_000 * 601, "no"), (0, "yes")]
)
def test_memory_is_what_was_added_over_the_connections(after: int, reached: str) -> None:
    idle = IdleMemory(connections=10_000, alive=10_000, pss_before=0, pss_after=after)
    comparison = make_comparison(
        idle_10000={"epollo": make_result("epollo", make_rounds(4.0), idle=idle)}
    )
    assert evaluate_bar(comparison, MEMORY).reached == reached


def test_idle_connections_are_held_against_the_same_server_without() -> None:
    result = make_result("epollo", make_rounds(5.4), without_idle=make_rounds(5.0))
    comparison = make_comparison(idle_10000={"epollo": result})
    verdict = evaluate_bar(comparison, ITSELF)
    assert (verdict.reached, verdict.figure) == ("yes", "5.4 µs against 5 µs: 1.08 x")


def test_nothing_is_claimed_of_an_empty_comparison() -> None:
    assert {verdict.reached for verdict in evaluate_bars(make_comparison())} == {"not measured"}
