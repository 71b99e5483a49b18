"""Codings of content that is kept: asked for once per version, and taken over when they are made."""

import os
from collections.abc import Callable, Mapping

from epollo.annotations import Final
from epollo.site.codings import CODING_NAMES, CODINGS, Coding, select_codings
from epollo.site.compressor import Compressor, Task
from epollo.site.file_codings import name_sidecar
from epollo.site.media_types import UNKNOWN
from epollo.site.representation import Edition, keep_coded, read_edition
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource
from epollo.site.root import Root
from epollo.site.sealed import Coded
from epollo.site.watch import Watch, watch_other_names

_OFFERED: Final[dict[frozenset[bytes], frozenset[bytes]]] = {}


class KeptCodings:
    """The codings of the small files of a catalogue.

    ``grow`` counts octets that are kept for a resource; ``refuse`` tells the operator of a sidecar file
    that cannot be used, by its suffix and the reason. ``kept_octets_limit`` is how long a sidecar file
    may be.
    """

    def __init__(
        self,
        root: Root,
        watch: Watch | None,
        *,
        grow: Callable[[Names, int], None],
        refuse: Callable[[Resource, bytes, str], None],
        kept_octets_limit: int,
    ) -> None:
        self._root = root
        self._watch = watch
        self._grow = grow
        self._refuse = refuse
        self._kept_octets_limit = kept_octets_limit
        self._compressor: Compressor | None = None

    def offer(
        self, resource: Resource, edition: Edition, compressor: Compressor, wanted: bytes
    ) -> None:
        """Have the coding of this name made of the content; the sidecar files are read first.

        If there are some, all others are made as well: a sidecar file may be no coding of the file.
        """
        if not compressor.has_room():
            # The next request asks again; until there is room, none costs a walk.
            return
        sidecars = {}
        for coding in CODINGS if not resource.offered else ():
            coded = self._read_sidecar(resource, coding)
            if coded is not None:
                sidecars[coding.name] = coded
        codings = CODINGS if sidecars else select_codings(wanted)
        if compressor.add(self._make_task(resource, edition, sidecars, codings)):
            offered = resource.offered | {coding.name for coding in codings}
            # Equal ones are one object: each takes 216 octets.
            resource.offered = _OFFERED.setdefault(offered, offered)
        self._compressor = compressor

    def improve(self, resource: Resource, edition: Edition) -> None:
        """Have the codings that were made here made as small as they can be, and all others, once."""
        octets = edition.identity.length
        limits = dict.fromkeys(CODING_NAMES - resource.offered, octets) | dict(resource.improvable)
        task = self._make_task(resource, edition, {}, CODINGS)
        if self._compressor is not None and self._compressor.improve(task, limits):
            resource.improvable = ()
            resource.offered = CODING_NAMES

    def _make_task(
        self,
        resource: Resource,
        edition: Edition,
        sidecars: Mapping[bytes, bytes],
        codings: tuple[Coding, ...],
    ) -> Task:
        return Task(
            edition.identity.content or b"",
            sidecars,
            lambda: resource.is_current,
            lambda made, limits: self._add(resource, made, limits),
            lambda suffix, reason: self._refuse(resource, suffix, reason),
            codings,
        )

    def _read_sidecar(self, resource: Resource, coding: Coding) -> bytes | None:
        """Return what the sidecar file of a coding holds; its coming and going ends the resource."""
        found = self._root.walk(name_sidecar(resource.names, coding))
        edges = found.edges
        if found.kind is Kind.FILE:
            edges += watch_other_names(self._watch, found.descriptor)
        resource.edges += tuple(edge for edge in edges if edge not in resource.edges)
        if self._watch is not None:
            self._watch.depend(resource)
        if found.descriptor < 0:
            return None
        try:
            if found.kind is not Kind.FILE:
                return None
            sidecar = read_edition(found.descriptor, UNKNOWN, self._kept_octets_limit)
            return sidecar.identity.read() or None
        except OSError:
            return None
        finally:
            os.close(found.descriptor)

    def _add(
        self, resource: Resource, made: Mapping[bytes, Coded], limits: Mapping[bytes, int]
    ) -> None:
        """Add codings that were made in the background, if the resource is still what it was."""
        edition = resource.edition
        if not resource.is_current or edition is None:
            return
        for coding, coded in made.items():
            self._grow(resource.names, edition.add(coding, keep_coded(coded)))
        resource.improvable = tuple({**dict(resource.improvable), **limits}.items())
        if made:
            # A client that takes one of these is to get it from now on.
            resource.end_answers()
