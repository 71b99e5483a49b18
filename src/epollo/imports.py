"""Modules of this package, imported without the search that is made for those of any.

Facts: of the 100 microseconds that the import of a small module takes, more than half is a search: for
extension modules, for what is zipped or frozen, for where a cache may stand. A start imports two hundred
of ours.
Decision: where all is as usual, a module is taken from where it stands: a source, and beside it the cache
that the import system made of it, which has its time and size.
Consequence: what is not as usual is left to the import system: a source that was changed, no cache.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from marshal import loads
from types import CodeType, ModuleType

from epollo.annotations import Final

_OURS: Final = __name__.rpartition(".")[0] + "."
_OCTETS_LIMIT: Final = 64 * 1024
"""A cache from this length on, twice that of the longest, is left to the import system."""
_BITS: Final = 0xFFFF_FFFF
_UNCHECKED_OCTETS: Final = 4
"""Of flags: zero says that the time and the size of the source come next (PEP 552)."""
_HEADER_OCTETS: Final = 16


def find_at_once() -> None:
    """Have the modules of this package found without a search, from now on."""
    # Else caches stand elsewhere, or have other names.
    if sys.pycache_prefix is None and not sys.flags.optimize and sys.implementation.cache_tag:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """A finder of the import system (`importlib.abc.MetaPathFinder`)."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG004
    ) -> ModuleSpec | None:
        """Return how a module is loaded; None for one that is not ours, or not as usual."""
        if path is None or len(path) != 1 or not name.startswith(_OURS):
            return None
        [folder] = path
        last = name.rpartition(".")[2]
        return _find(name, folder, last) or _find(name, f"{folder}/{last}", "__init__")


def _find(name: str, folder: str, file: str) -> ModuleSpec | None:
    source = f"{folder}/{file}.py"
    cached = f"{folder}/__pycache__/{file}.{sys.implementation.cache_tag}.pyc"
    try:
        code = _read_code(source, cached)
    except (OSError, ValueError, EOFError, TypeError):
        # There is none, or it is damaged.
        return None
    if code is None or code.co_filename != source:
        return None
    is_package = file == "__init__"
    spec = ModuleSpec(name, _Loader(name, source, code), origin=source, is_package=is_package)
    if is_package:
        spec.submodule_search_locations = [folder]
    spec.has_location = True
    spec.cached = cached
    return spec


def _read_code(source: str, cached: str) -> CodeType | None:
    """Return what a cache holds; None if it is not of this source. Raises as `marshal.loads` does."""
    status = os.stat(source)
    descriptor = os.open(cached, os.O_RDONLY | os.O_CLOEXEC)
    try:
        octets = os.read(descriptor, _OCTETS_LIMIT)
    finally:
        os.close(descriptor)
    made_of = (int(status.st_mtime) & _BITS) | (status.st_size & _BITS) << 32
    header = MAGIC_NUMBER + bytes(_UNCHECKED_OCTETS) + made_of.to_bytes(8, "little")
    if octets[:_HEADER_OCTETS] != header or len(octets) == _OCTETS_LIMIT:
        return None
    # As the import system loads the same file.
    code: CodeType = loads(memoryview(octets)[_HEADER_OCTETS:])  # noqa: S302
    return code


class _Loader(SourceFileLoader):
    """Has the code of a module, for its import, and can do all else as usual."""

    def __init__(self, name: str, source: str, code: CodeType) -> None:
        super().__init__(name, source)
        self._code: CodeType | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code, and keep it no longer."""
        code, self._code = self._code, None
        return code or super().get_code(fullname)
