"""A named tuple that was made without the compiler is one as `typing` makes it."""

import copy
import pickle
import typing
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from epollo.named_tuples import NamedTuple


class Ours(NamedTuple):
    """A point."""

    x: int
    y: str = "y"
    z: float | None = None

    @property
    def doubled(self) -> int:
        return 2 * self.x

    def describe(self) -> str:
        return f"{self.x} {self.y}"


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    y: str = "y"
    z: float | None = None

    @property
    def doubled(self) -> int:
        return 2 * self.x

    def describe(self) -> str:
        return f"{self.x} {self.y}"


class Empty(NamedTuple):
    """Nothing."""


USES: list[Callable[[Any], object]] = [
    lambda kind: tuple(kind(1)),
    lambda kind: tuple(kind(z=1.5, x=2)),
    lambda kind: kind(1) == (1, "y", None),
    lambda kind: kind(1) < kind(2),
    lambda kind: hash(kind(1)) == hash((1, "y", None)),
    lambda kind: (kind(3).x, kind(3).y, kind(3).z, kind(3).doubled),
    lambda kind: repr(kind(1, "a")).partition("(")[2],
    lambda kind: kind(1).describe(),
    lambda kind: kind(1)._asdict(),
    lambda kind: tuple(kind(1)._replace(y="b")),
    lambda kind: tuple(kind._make([1, 2, 3])),
    lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__doc__),
    lambda kind: tuple(copy.copy(kind(1))),
    lambda kind: copy.deepcopy(kind(1)).z,
    lambda kind: pickle.loads(pickle.dumps(kind(4))).x,
    lambda kind: str(signature(kind)),
    lambda kind: {name: str(one) for name, one in kind.__annotations__.items()},
    lambda kind: hasattr(kind(1), "__dict__"),
    lambda kind: kind.__qualname__ in {"Ours", "Theirs"} and kind.__module__,
]
MISUSES: list[Callable[[Any], object]] = [
    lambda kind: kind(),
    lambda kind: kind(1, 2, 3, 4),
    lambda kind: kind(1, w=2),
    lambda kind: kind(1, x=2),
    lambda kind: kind(1)._make([]),
    lambda kind: setattr(kind(1), "x", 2),
    lambda kind: setattr(kind(1), "w", 2),
    lambda kind: kind(1).w,
]


@pytest.mark.parametrize("use", USES)
def test_it_does_what_that_of_typing_does(use: Callable[[Any], object]) -> None:
    assert use(Ours) == use(Theirs)


@pytest.mark.parametrize("use", MISUSES)
def test_it_refuses_what_that_of_typing_refuses(use: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, AttributeError)) as theirs:
        use(Theirs)
    with pytest.raises(theirs.type):
        use(Ours)


def test_a_call_with_what_is_no_field_names_the_class() -> None:
    unknown: dict[str, Any] = {"w": 2}
    with pytest.raises(TypeError, match=r"Ours\.__new__\(\) got an unexpected"):
        Ours(1, **unknown)


def test_one_without_fields_is_an_empty_tuple() -> None:
    assert (Empty(), repr(Empty())) == ((), "Empty()")


def test_it_is_matched_by_its_fields() -> None:
    match Ours(1, "a"):
        case Ours(x, y, z):
            assert (x, y, z) == (1, "a", None)
