"""Settings as values: named fields with defaults, which nothing changes.

Fact: `dataclasses` loads `inspect`, which loads the parser of Python in Python, and compiles the methods
of each class: a tenth of a start.
Decision: settings get the little of it that they need. To a type checker it is the same (PEP 681).
"""

from epollo.annotations import Any, ClassVar, Self, dataclass_transform
from epollo.settings.option import Default, Option


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:  # noqa: PLW1641 - tables of sites have no hash
    """The settings of one subject; a subclass says each with its type and its default.

    Raises `TypeError` for a name that it does not have, `AttributeError` where one is set.
    """

    defaults: ClassVar[dict[str, Any]] = {}
    """Each default by the name of its setting."""
    options: ClassVar[dict[str, tuple[Option, Any]]] = {}
    """Each option and its default by the name of its setting, of those that can be typed."""

    def __init_subclass__(cls) -> None:
        cls.defaults, cls.options = {}, {}
        for base in reversed(cls.__bases__):
            cls.defaults |= getattr(base, "defaults", {})
            cls.options |= getattr(base, "options", {})
        for name in cls.__annotations__:
            default = cls.__dict__[name]
            if isinstance(default, Default):
                cls.options[name] = (default.option, default.value)
                default = default.value
                setattr(cls, name, default)
            cls.defaults[name] = default

    def __init__(self, **given: Any) -> None:
        if unknown := given.keys() - self.defaults.keys():
            raise TypeError(f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}")
        self.__dict__.update(self.defaults, **given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        changed = {name: one for name, one in vars(self).items() if one != self.defaults[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={one!r}' for name, one in changed.items())})"

    def replace(self, **changes: Any) -> Self:
        """Return the same settings except for these."""
        return type(self)(**vars(self) | changes)
