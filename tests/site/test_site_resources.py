"""What is kept by its names: files and what is missing, each in a place of its own."""

from epollo.budget import Budget
from epollo.site.resolve import Kind
from epollo.site.resource import Resource
from epollo.site.resources import Resources


def make_absence(*names: bytes) -> Resource:
    return Resource(names, Kind.MISSING, (), 0, lambda _: True)


def make_resources() -> Resources:
    return Resources(Budget(1 << 20), lambda _: None)


def test_what_is_missing_is_found_on_the_way_to_a_path() -> None:
    resources = make_resources()
    folder = make_absence(b"gone")
    assert resources.put(folder) is None
    assert resources.find((b"gone", b"a", b"b")) is folder
    assert resources.has((b"gone",))
    assert not resources.has((b"gone", b"a"))


def test_the_former_resource_of_a_path_is_handed_back_and_cannot_take_out_the_new_one() -> None:
    resources = make_resources()
    former, latter = make_absence(b"a"), make_absence(b"a")
    resources.put(former)
    assert resources.put(latter) is former
    resources.remove(former)
    assert resources.find((b"a",)) is latter
    resources.remove(latter)
    assert resources.find((b"a",)) is None


def test_one_mark_ends_all_but_rule_files() -> None:
    resources = make_resources()
    one, rules = make_absence(b"a"), make_absence(b"_headers")
    one.ends_with = mark = resources.whole
    resources.put(one)
    resources.rule_files[rules.names] = rules
    ended = resources.end_all()
    assert [resource for some in ended for resource in some.values()] == [one]
    assert not mark.is_current
    assert resources.whole.is_current
    assert resources.list_all() == [rules]
