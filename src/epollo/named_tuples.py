"""`NamedTuple`, made without the compiler.

Fact: that of `typing` compiles a text for each class, and looks at each type. The classes of a server
take a twelfth of its start.
Decision: the code that makes a tuple stands here once for each number of fields; each class gets a copy
with its own names. For a type checker, and where code cannot be copied in this way, the class is that
of `typing`.
Consequence: what a program does with a named tuple takes the time that it takes with one of `typing`.
Price: a class has no more than twelve fields.
"""

import sys

from epollo.annotations import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING or sys.version_info >= (3, 14):
    # From there on the types of a class are not evaluated before they are asked for.
    from typing import NamedTuple
else:
    from _collections import _tuplegetter
    from collections.abc import Iterable
    from types import FunctionType

    _new = tuple.__new__
    # Index 0 is a class without fields. The names are put in below.
    _TEMPLATES = (
        lambda c: _new(c, ()),
        lambda c, d: _new(c, (d,)),
        lambda c, d, e: _new(c, (d, e)),
        lambda c, d, e, f: _new(c, (d, e, f)),
        lambda c, d, e, f, g: _new(c, (d, e, f, g)),
        lambda c, d, e, f, g, h: _new(c, (d, e, f, g, h)),
        lambda c, d, e, f, g, h, i: _new(c, (d, e, f, g, h, i)),
        lambda c, d, e, f, g, h, i, j: _new(c, (d, e, f, g, h, i, j)),
        lambda c, d, e, f, g, h, i, j, k: _new(c, (d, e, f, g, h, i, j, k)),
        lambda c, d, e, f, g, h, i, j, k, m: _new(c, (d, e, f, g, h, i, j, k, m)),
        lambda c, d, e, f, g, h, i, j, k, m, n: _new(c, (d, e, f, g, h, i, j, k, m, n)),
        lambda c, d, e, f, g, h, i, j, k, m, n, o: _new(c, (d, e, f, g, h, i, j, k, m, n, o)),
        lambda c, d, e, f, g, h, i, j, k, m, n, o, p: _new(c, (d, e, f, g, h, i, j, k, m, n, o, p)),
    )

    class _Tuple(tuple[Any, ...]):
        """What all have."""

        __slots__ = ()
        _fields: ClassVar[tuple[str, ...]] = ()
        _field_defaults: ClassVar[dict[str, Any]] = {}

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self:
            """Return one of these values."""
            return cls(*values)

        def _replace(self, **changes: Any) -> Self:
            """Return the same but for these fields."""
            return type(self)(**self._asdict() | changes)

        def _asdict(self) -> dict[str, Any]:
            """Return the values by the names of their fields."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            shown = (f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({', '.join(shown)})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class _Maker(type):
        """Makes of a class body with types, and perhaps defaults, a class of tuples."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            types = body.get("__annotations__", {})
            fields = tuple(types)
            defaults = {field: body[field] for field in fields if field in body}
            code = _TEMPLATES[len(fields)].__code__
            new = FunctionType(
                code.replace(co_varnames=("_cls", *fields), co_name="__new__"),
                globals(),
                "__new__",
                tuple(defaults.values()),
            )
            new.__annotations__ = types
            new.__qualname__ = f"{name}.__new__"
            body |= {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            body |= {"__slots__": (), "__new__": new, "__match_args__": fields}
            body |= {"_fields": fields, "_field_defaults": defaults}
            return type(name, (_Tuple, *bases[1:]), body)

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})

__all__ = ["NamedTuple"]
