"""Many rules are read in slices: requests of the site wait for the rules that they came after."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from epollo.http.message import Later, Request, Response
from epollo.http.target import parse_target
from epollo.loop import Handler
from epollo.site import rulebook as rulebook_module
from epollo.site.rulebook import Rulebook
from epollo.site.rules import reading, redirects_file
from epollo.site.rules.reading import STEP_RULES, Readings
from site_grounds import Ground, is_true

_COUNT = 40 * STEP_RULES


class Slices:
    """The site of a ground, the rules of which are read by hand: one step at a time."""

    def __init__(self, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
        assert isinstance(ground.policies, Rulebook)
        self.ground = ground
        self.rulebook = ground.policies
        self.called: list[Handler] = []
        self.rulebook.readings = Readings(self.called.append)
        self.respond = self.rulebook.when_read(ground.site.respond)
        # No time passes but by steps: a slice is one of them, and none is taken at once.
        self._steps = 0
        monkeypatch.setattr(rulebook_module, "time", SimpleNamespace(perf_counter=self._count))
        monkeypatch.setattr(rulebook_module, "_AT_ONCE_SECONDS", 2.5)
        monkeypatch.setattr(reading, "SLICE_SECONDS", 1.5)

    def _count(self) -> float:
        self._steps += 1
        return float(self._steps)

    def look(self) -> None:
        assert self.ground.catalogue.watch is not None
        self.ground.catalogue.watch.on_ready(1)

    def ask(self, path: str) -> Response | Later:
        target = parse_target(path.encode())
        assert target is not None
        return self.respond(Request(b"GET", target, {b"host": b"a"}))

    def wait(self, path: str) -> tuple[Later, list[Response]]:
        """Ask, and return what is waited for, and where the response comes when it is over."""
        later = self.ask(path)
        assert isinstance(later, Later)
        outcome: list[Response] = []
        later.on_done = partial(self._note, later, outcome)
        later.begin("")
        return later, outcome

    def _note(self, later: Later, outcome: list[Response]) -> None:
        response = later.conclude()
        assert isinstance(response, Response)
        outcome.append(response)

    def take_turn(self) -> bool:
        """Give the handlers that asked for it another turn; return whether there were any."""
        called, self.called[:] = list(self.called), []
        for handler in called:
            handler.on_ready(0)
        return bool(called)

    def finish(self) -> int:
        """Take all turns; return their number."""
        turns = 0
        while self.take_turn():
            turns += 1
        return turns

    def write(self, target: str, count: int = _COUNT) -> None:
        lines = "".join(f"/old/{number} {target}/{number}\n" for number in range(count))
        (self.ground.root / "_redirects").write_text(lines)
        self.look()


def location(response: Response | Later) -> str:
    assert isinstance(response, Response)
    return dict(response.fields).get(b"Location", b"").decode()


@pytest.fixture
def slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slices]:
    (tmp_path / "index.html").write_text("index")
    with Ground(tmp_path) as ground:
        yield Slices(ground, monkeypatch)


def test_few_rules_are_read_at_once(slices: Slices) -> None:
    slices.write("/new", STEP_RULES // 2)
    assert location(slices.ask("/old/3")) == "/new/3"
    assert not slices.called


def test_an_edit_of_many_rules_is_in_the_next_answer(slices: Slices) -> None:
    slices.write("/before", 1)
    before = slices.ask("/old/0")
    assert isinstance(before, Response)
    assert is_true(before.basis, slices.ground)
    slices.write("/new")
    assert not is_true(before.basis, slices.ground)
    waits = [slices.wait("/old/7"), slices.wait("/"), slices.wait("/nothing")]
    # A slice is a bounded number of rules.
    assert slices.finish() >= _COUNT // STEP_RULES - 3
    responses = [outcome[0] for _, outcome in waits]
    assert [one.status for one in responses] == [301, 200, 404]
    assert location(responses[0]) == "/new/7"
    assert all(is_true(one.basis, slices.ground) for one in responses)
    assert location(slices.ask(f"/old/{_COUNT - 1}")) == f"/new/{_COUNT - 1}"


def test_nothing_that_is_answered_meanwhile_is_kept(slices: Slices) -> None:
    """A request that waited for a password, say, comes past those that wait for rules."""
    slices.write("/one", 1)
    slices.write("/two")
    target = parse_target(b"/old/0")
    assert target is not None
    request = Request(b"GET", target, {b"host": b"a"})
    response = slices.ground.site.respond(request)
    assert location(response) == "/one/0"
    assert isinstance(response, Response)
    assert response.basis is None
    refused = slices.ground.site.refuse(request, Response(405))
    assert not is_true(refused.basis, slices.ground)
    assert not is_true(slices.ground.site.find_sources(request).basis, slices.ground)
    slices.finish()
    assert location(slices.ground.site.respond(request)) == "/two/0"


def test_a_client_waits_for_the_rules_that_were_there_when_it_asked(slices: Slices) -> None:
    """However often a file changes, a client waits for two versions of it at most."""
    slices.write("/one")
    _, first = slices.wait("/old/7")
    slices.take_turn()
    slices.write("/two")
    _, second = slices.wait("/old/7")
    slices.write("/three")
    _, third = slices.wait("/old/7")
    while not first:
        assert slices.take_turn()
    assert location(first[0]) == "/one/7"
    assert not is_true(first[0].basis, slices.ground)
    assert not second
    _, fourth = slices.wait("/old/7")
    slices.finish()
    assert [location(one[0]) for one in (second, third, fourth)] == ["/three/7"] * 3
    assert is_true(fourth[0].basis, slices.ground)


def test_a_mistake_at_the_end_keeps_the_former_rules(slices: Slices) -> None:
    slices.write("/one", 3)
    assert location(slices.ask("/old/1")) == "/one/1"
    path = slices.ground.root / "_redirects"
    slices.write("/two", 3)
    lines = "".join(f"/old/{number} /three/{number}\n" for number in range(_COUNT))
    path.write_text(lines + "nonsense\n")
    slices.look()
    _, outcome = slices.wait("/old/1")
    slices.finish()
    assert location(outcome[0]) == "/two/1"
    assert f"_redirects:{_COUNT + 1}: " in slices.ground.reports[0]
    path.unlink()
    slices.look()
    response = slices.ask("/old/1")
    assert isinstance(response, Response)
    assert response.status == 404


def test_many_headers_are_read_in_slices(slices: Slices) -> None:
    lines = "".join(f"/a{number}\n  X-A: {number}\n" for number in range(_COUNT))
    (slices.ground.root / "_headers").write_text(lines + "/\n" + "  X-B: c\n" * _COUNT)
    slices.look()
    _, outcome = slices.wait("/")
    assert slices.finish() >= 2 * (_COUNT // STEP_RULES) - 3
    assert dict(outcome[0].fields)[b"X-B"].count(b"c") == _COUNT


def test_a_fault_lets_no_client_wait(slices: Slices, monkeypatch: pytest.MonkeyPatch) -> None:
    slices.write("/one", 3)
    slices.write("/two")
    _, outcome = slices.wait("/old/1")

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as context:
        context.setattr(redirects_file, "_parse_line", fail)
        with pytest.raises(RuntimeError):
            slices.finish()
    assert location(outcome[0]) == "/one/1"
    slices.write("/three")
    _, outcome = slices.wait("/old/1")
    slices.finish()
    assert location(outcome[0]) == "/three/1"


def test_sites_are_read_in_turn(slices: Slices) -> None:
    read: list[str] = []

    class Other:
        def __init__(self, name: str, count: int) -> None:
            self.name = name
            self.count = count

        def read_on(self, seconds: float) -> bool:
            assert seconds == reading.SLICE_SECONDS
            read.append(self.name)
            self.count -= 1
            return not self.count

    readings = slices.rulebook.readings
    assert readings is not None
    readings.add(Other("a", 3))
    readings.add(Other("b", 1))
    slices.called[:] = [readings]
    while slices.called:
        slices.called.pop().on_ready(0)
    assert read == ["a", "b", "a", "a"]
