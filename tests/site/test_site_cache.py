"""The cache: bounded, and not emptied by a scan."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from epollo.site.cache import HITS_LIMIT, Cache

LIMIT = 1000


class Thing:
    """Something of a given size."""

    def __init__(self, octets: int, name: int = 0) -> None:
        self.octets = octets
        self.hits = 0
        self.name = name


def ask(cache: Cache[int, Thing], name: int, octets: int = 10) -> bool:
    """Ask for a thing as the catalogue does; return whether it was there."""
    thing = cache.get(name)
    if thing is None:
        cache.put(name, Thing(octets, name))
        return False
    thing.hits = min(thing.hits + 1, HITS_LIMIT)
    return True


def make_cache(evicted: list[Thing] | None = None, limit: int = LIMIT) -> Cache[int, Thing]:
    return Cache(limit, (evicted if evicted is not None else []).append)


def test_what_is_put_is_there_until_it_is_removed() -> None:
    cache = make_cache()
    thing = Thing(10)
    cache.put(1, thing)
    assert cache.get(1) is thing
    assert (len(cache), cache.octets, cache.entries()) == (1, 10, [thing])
    cache.remove(1)
    cache.remove(1)
    assert cache.get(1) is None
    assert (len(cache), cache.octets) == (0, 0)


def test_one_scan_of_ten_times_the_capacity_leaves_the_hot_ones() -> None:
    cache = make_cache()
    hot = range(50)
    for _ in range(3):
        for name in hot:
            ask(cache, name)
    for name in range(1000, 2000):
        assert not ask(cache, name)
    assert all(cache.get(name) is not None for name in hot)
    assert cache.octets <= LIMIT


def test_hot_ones_stay_while_a_scan_runs_between_requests_for_them() -> None:
    cache = make_cache()
    missed = 0
    for number in range(20_000):
        ask(cache, 1000 + number)
        missed += not ask(cache, number % 40)
    # Each is missed when it is first asked for, and perhaps once more.
    assert missed <= 80


def test_an_entry_that_comes_back_soon_after_it_left_is_kept_at_once() -> None:
    evicted: list[Thing] = []
    cache = make_cache(evicted)
    for name in range(101):
        ask(cache, name)
    assert [thing.name for thing in evicted] == [0]
    ask(cache, 0)
    assert hash(0) not in cache._ghosts
    for name in range(1000, 1200):
        ask(cache, name)
    assert cache.get(0) is not None


def count_turns(hits: int) -> int:
    """Return how many others can come before one that was asked for so often in the main queue goes."""
    evicted: list[Thing] = []
    cache = make_cache(evicted, 100)
    for _ in range(2):
        for name in range(10):
            ask(cache, name)
    ask(cache, 10)
    survivor = cache.get(5)
    assert survivor is not None
    # It has to be asked for again since it left the short queue.
    assert survivor.hits == 0
    for _ in range(hits):
        ask(cache, 5)
    for number in range(1000):
        if survivor in evicted:
            return number
        # Asked for before it leaves the short queue, each of them goes to the main one.
        ask(cache, 1000 + number)
        ask(cache, 1000 + number)
    raise AssertionError("it never goes")


def test_each_hit_is_one_turn_of_the_main_queue_up_to_the_limit() -> None:
    turns = [count_turns(hits) for hits in range(HITS_LIMIT + 3)]
    for fewer, more in itertools.pairwise(turns[: HITS_LIMIT + 1]):
        assert more >= fewer + 5
    assert turns[HITS_LIMIT:] == [turns[HITS_LIMIT]] * 3


def test_popular_ones_that_no_request_names_any_more_make_room() -> None:
    cache = make_cache()
    for generation in range(5):
        names = range(generation * 100, generation * 100 + 60)
        for _ in range(HITS_LIMIT + 5):
            for name in names:
                ask(cache, name)
        assert sum(cache.get(name) is not None for name in names) >= 50


def test_growing_counts_and_makes_room() -> None:
    evicted: list[Thing] = []
    cache = make_cache(evicted)
    for name in range(90):
        ask(cache, name)
    grown = cache.get(89)
    assert grown is not None
    cache.grow(89, grown, 200)
    assert grown.octets == 210
    assert cache.octets <= LIMIT
    assert evicted
    assert cache._short_octets == sum(thing.octets for thing in cache._short.values())
    cache.grow(89, grown, -100)
    assert grown.octets == 110
    assert cache.octets == sum(thing.octets for thing in cache.entries())


def test_what_is_larger_than_the_cache_does_not_stay() -> None:
    evicted: list[Thing] = []
    cache = make_cache(evicted)
    for _ in range(3):
        for name in range(50):
            ask(cache, name)
    for name in range(1000, 1100):
        ask(cache, name)
    cache.put(1, Thing(LIMIT + 1)) if cache.get(1) is None else cache.put(5000, Thing(LIMIT + 1))
    assert cache.octets <= LIMIT
    assert evicted[-1].octets == LIMIT + 1
    assert sum(cache.get(name) is not None for name in range(50)) >= 40


def test_nothing_at_all_is_kept_by_a_cache_of_nothing() -> None:
    evicted: list[Thing] = []
    cache = make_cache(evicted, 0)
    for name in range(10_000):
        cache.put(name, Thing(1, name))
    assert (len(cache), cache.octets, len(evicted)) == (0, 0, 10_000)


def test_names_of_those_that_left_are_bounded() -> None:
    cache: Cache[bytes, Thing] = Cache(100, lambda _: None)
    for number in range(10_000):
        cache.put(b"%d" % number, Thing(10))
    assert len(cache._ghosts) <= 256


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400)), max_size=200))
def test_bound_holds_whatever_is_asked_for(requests: list[tuple[int, int]]) -> None:
    cache = make_cache()
    for name, octets in requests:
        ask(cache, name, octets)
        assert cache.octets == sum(thing.octets for thing in cache.entries()) <= LIMIT


class AnyUse(RuleBasedStateMachine):
    """Whatever is done, the cache holds what was put and neither removed nor evicted."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, Thing] = {}
        self.cache: Cache[int, Thing] = Cache(LIMIT, self.on_evict)

    def on_evict(self, thing: Thing) -> None:
        assert self.model.pop(thing.name) is thing

    @rule(name=st.integers(0, 40), octets=st.integers(0, LIMIT + 100))
    def put_or_ask(self, name: int, octets: int) -> None:
        if name in self.model:
            self.model[name].hits += 1
        else:
            self.model[name] = Thing(octets, name)
            self.cache.put(name, self.model[name])

    @rule(name=st.integers(0, 40))
    def remove(self, name: int) -> None:
        self.model.pop(name, None)
        self.cache.remove(name)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), octets=st.integers(0, 300))
    def grow(self, data: st.DataObject, octets: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.cache.grow(name, self.model[name], octets)

    @invariant()
    def holds_what_it_should(self) -> None:
        assert self.cache.octets == sum(thing.octets for thing in self.model.values()) <= LIMIT
        assert len(self.cache) == len(self.model)
        assert all(self.cache.get(name) is thing for name, thing in self.model.items())


TestAnyUse = AnyUse.TestCase
