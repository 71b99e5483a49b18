"""A resource: a basis of answers, until it ends."""

import gc

import pytest

from epollo.http.message import ENDED
from epollo.protocols.answer import Answer
from epollo.site.resolve import Kind, Names
from epollo.site.resource import RESOURCE_OCTETS, Resource


def make_resource(names: Names = (b"page.txt",), *, confirms: bool = True) -> Resource:
    return Resource(names, Kind.FILE, (), 100, lambda _: confirms)


def make_answer(resource: Resource) -> Answer:
    return Answer(
        200,
        b"fields",
        b"\r\n",
        (b"content",),
        persists=True,
        method=b"GET",
        length=7,
        basis=resource,
    )


@pytest.mark.parametrize("confirms", [True, False])
def test_it_stands_as_the_file_system_says(confirms: bool) -> None:
    resource = make_resource(confirms=confirms)
    assert resource.checked_second == 100
    assert resource.stands(101) is confirms


@pytest.mark.parametrize("count", [1, 2, 20])
def test_what_ends_takes_its_answers_along(count: int) -> None:
    resource = make_resource()
    answers = [make_answer(resource) for _ in range(count)]
    for answer in answers:
        resource.hold(answer)
    resource.end()
    assert not resource.is_current
    assert resource.checked_second == -1
    assert {answer.basis for answer in answers} == {ENDED}
    assert {answer.content for answer in answers} == {b""}


def test_answers_end_without_the_resource() -> None:
    resource = make_resource()
    former, later = make_answer(resource), make_answer(resource)
    resource.hold(former)
    resource.end_answers()
    resource.hold(later)
    assert resource.is_current
    assert former.basis is ENDED
    assert later.basis is resource


def test_answers_that_are_dropped_elsewhere_take_no_room() -> None:
    resource = make_resource()
    for _ in range(10_000):
        resource.hold(make_answer(resource))
    gc.collect()
    assert isinstance(resource._answers, list)
    assert len(resource._answers) <= 16


def test_long_paths_count_more() -> None:
    short, long = make_resource((b"a",)), make_resource((b"a" * 100,) * 10)
    assert RESOURCE_OCTETS < short.octets < long.octets - 1000
