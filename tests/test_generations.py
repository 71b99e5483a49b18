import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.generations import Generations


def make(entries_limit: int = 3, octets_limit: int = 100) -> Generations[str, int]:
    return Generations(entries_limit=entries_limit, octets_limit=octets_limit)


def test_knows_what_was_put() -> None:
    known = make()
    known.put("a", 1)
    assert known.get("a") == 1
    assert known.young.get("a") == 1
    assert known.get("b") is None
    assert len(known) == 1


def test_replaces() -> None:
    known = make()
    known.put("a", 1)
    known.put("a", 2)
    assert known.get("a") == 2


def test_forgets_what_is_not_asked_for() -> None:
    known = make()
    for number, key in enumerate("abcdefg"):
        known.put(key, number)
    assert known.get("a") is None
    assert known.get("g") == 6


def test_keeps_what_is_asked_for() -> None:
    known = make()
    known.put("a", 1)
    for number in range(100):
        known.put(f"flood {number}", number)
        assert known.get("a") == 1
    assert len(known) <= 6


def test_what_is_asked_for_is_made_young_with_its_octets() -> None:
    known = make(entries_limit=100, octets_limit=100)
    known.put("a", 1, 60)
    known.put("b", 2, 60)
    assert "a" not in known.young
    assert known.get("a", 60) == 1
    assert list(known.young) == ["a"]
    assert known.get("b", 60) == 2


def test_one_that_is_too_large_drives_no_entry_out() -> None:
    known = make()
    known.put("a", 1, 10)
    known.put("huge", 2, 101)
    assert known.get("huge") is None
    assert known.get("a") == 1


def test_one_that_fills_a_generation() -> None:
    known = make()
    known.put("a", 1, 100)
    assert known.get("a") == 1


def test_a_new_generation_has_room_for_as_much() -> None:
    kept = Generations[int, int](entries_limit=1000, octets_limit=100)
    for key in range(40):
        kept.put(key, key, 10)
        # The last ten that filled a generation, and those that came after them.
        assert len(kept) == min(key + 1, 11 + key % 10 if key >= 10 else 10)


def test_clear() -> None:
    known = make()
    for number, key in enumerate("abcde"):
        known.put(key, number, 1)
    known.clear()
    assert len(known) == 0
    assert all(known.get(key) is None for key in "abcde")


@pytest.mark.parametrize("entries_limit", [1, 2, 5])
@given(
    operations=st.lists(
        st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 40)), max_size=100
    )
)
def test_bounds_hold_and_nothing_false_is_told(
    entries_limit: int, operations: list[tuple[bool, int, int]]
) -> None:
    known = make(entries_limit, 60)
    told: dict[str, int] = {}
    octets: dict[str, int] = {}
    for is_put, number, size in operations:
        key = str(number)
        if is_put:
            known.put(key, size, size)
            if size <= 60:
                told[key] = octets[key] = size
        else:
            value = known.get(key, octets.get(key, 0))
            assert value in {None, told.get(key)}
        assert len(known.young) <= entries_limit
        assert len(known) <= 2 * entries_limit
        assert sum(octets[key] for key in known.young) <= 60
