"""The names for annotations: those of `typing` for a type checker, next to nothing at run time.

Fact: to load `typing` takes a twentieth of a start, and no module here looks at annotations.
Decision: at run time, each name is just enough to be evaluated where it is used. All other modules
import these names from here.
Price: another name of `typing` has to be put here twice.
"""

import sys

TYPE_CHECKING = False
"""True to a type checker."""

if TYPE_CHECKING or sys.version_info >= (3, 14):
    # From there on annotations are not evaluated before they are asked for, and named tuples load it.
    from typing import (
        Any,
        AnyStr,
        ClassVar,
        Final,
        Generic,
        Literal,
        NoReturn,
        Protocol,
        Self,
        TypeAlias,
        TypeVar,
        cast,
        dataclass_transform,
    )
else:

    class _Annotation:
        """Any type, with what a type can be written with."""

        def __getitem__(self, of: object, /) -> "_Annotation":
            return self

        def __or__(self, other: object) -> "_Annotation":
            return self

        __ror__ = __or__

    class _Variable(_Annotation):
        """A type that an alias leaves open."""

        def __typing_subst__(self, of: object) -> object:
            return of

    class _Generic:
        """A class that is written with the types of what it holds."""

        __slots__ = ()

        def __class_getitem__(cls, of: object) -> type:
            return cls

    Any = AnyStr = ClassVar = Final = Literal = NoReturn = Self = TypeAlias = _Annotation()
    Generic = Protocol = _Generic

    def TypeVar(*_: object, **__: object) -> _Variable:  # noqa: N802 - as it is called there
        """Return a type that is left open."""
        return _Variable()

    def cast(_: object, value: object) -> object:
        """Return the value."""
        return value

    def dataclass_transform(**_: object) -> object:
        """Return what leaves a class as it is."""
        return lambda decorated: decorated


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "AnyStr",
    "ClassVar",
    "Final",
    "Generic",
    "Literal",
    "NoReturn",
    "Protocol",
    "Self",
    "TypeAlias",
    "TypeVar",
    "cast",
    "dataclass_transform",
]
