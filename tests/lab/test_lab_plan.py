"""Order and forecast."""

from dataclasses import replace

import pytest

from epollo.lab.plan import (
    Scope,
    correct_forecast,
    describe_seconds,
    fit_idle_counts,
    forecast_seconds,
    list_steps,
    plan_courses,
)

SCOPE = Scope(("busy", "select", "poll", "epoll"), (0, 100, 1000), 1.0, 3, 4)


def test_every_round_has_every_poller_once_and_the_first_counts() -> None:
    courses = plan_courses(SCOPE)
    assert len(courses) == 4 * (1 + SCOPE.rounds)
    for number in range(SCOPE.rounds + 1):
        of_round = [course for course in courses if course.round == number]
        assert {course.poller for course in of_round} == set(SCOPE.pollers)
        assert all(course.is_counting == (number == 0) for course in of_round)


def test_rounds_are_interleaved_and_begin_with_another_poller_each() -> None:
    courses = plan_courses(SCOPE)
    assert [course.round for course in courses] == sorted(course.round for course in courses)
    assert [courses[4 * number].poller for number in range(4)] == list(SCOPE.pollers)


def test_a_poller_of_which_nothing_is_known_is_forecast_as_the_most_expensive() -> None:
    scope = replace(SCOPE, pollers=("busy", "new"))
    busy, new = (forecast_seconds(scope, course) for course in plan_courses(scope)[:2])
    assert new == busy


def test_the_forecast_knows_that_letting_in_costs_a_turn_for_each() -> None:
    by_poller = {course.poller: forecast_seconds(SCOPE, course) for course in plan_courses(SCOPE)}
    assert by_poller["busy"] > by_poller["poll"] > by_poller["epoll"]
    measured_seconds = len(SCOPE.idle) * (SCOPE.seconds + SCOPE.waiting_seconds)
    assert by_poller["epoll"] > measured_seconds


def test_calls_are_counted_where_counting_takes_no_minutes() -> None:
    scope = Scope(("busy",), (0, 1000, 10_000), 1.0, 1, 4)
    counting, timed = plan_courses(scope)
    assert list_steps(scope, counting) == [0, 1000]
    assert list_steps(scope, timed) == [0, 1000, 10_000]
    large = Scope(("busy",), (5000, 10_000), 1.0, 1, 4)
    assert list_steps(large, counting) == [5000]


def test_a_forecast_is_corrected_by_how_it_went_so_far() -> None:
    assert correct_forecast(0, 0, 30) == 30
    assert correct_forecast(100, 100, 30) == 30
    assert 30 < correct_forecast(2, 1, 30) < 35
    assert 50 < correct_forecast(200, 100, 30) < 60


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


def test_what_the_limit_of_descriptors_does_not_allow_is_left_out_and_named() -> None:
    assert fit_idle_counts([1000, 0, 10, 10], 4, 1024) == ([0, 10], [1000])
    assert fit_idle_counts([1000, 0], 4, 4096) == ([0, 1000], [])
