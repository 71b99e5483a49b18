"""A site under examination: composed as a worker composes it, and asked with the octets of a request.

Nothing is resolved a second time here. The catalogue notes what it is asked for, the policy tells which
rules it has used, and the rest is read from the answer.
"""

import os
from collections.abc import Mapping

from epollo.budget import Budget
from epollo.http.message import ANY_SCOPE, PERMANENT, Basis, Later, Request, Response
from epollo.loop import EventLoop, Wakeup
from epollo.named_tuples import NamedTuple
from epollo.pollers import open_poller
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader, Limits
from epollo.settings import Settings, select_hosts, select_sites
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor, Task
from epollo.site.file_task import FileTask
from epollo.site.resolve import Names
from epollo.site.resource import Resource
from epollo.worker.access import Access
from epollo.worker.compose import select_responder
from epollo.worker.sites import Sites


class TracedCatalogue(Catalogue):
    """A catalogue that notes what it was asked for, and has codings made at once."""

    lookups: list[tuple[Names, Resource]]

    def begin(self) -> None:
        """Forget what it was asked for."""
        self.lookups = []

    def find(self, names: Names) -> Resource:
        """Return what stands at a path of names."""
        resource = super().find(names)
        self.lookups.append((names, resource))
        return resource

    def offer(self, resource: Resource, compressor: Compressor, wanted: bytes) -> Basis | None:
        """Have a coding made at once; a server has it made when the resource is asked for again."""
        if resource.edition is not None and resource.is_current:
            self._offer(resource, resource.edition, compressor, wanted)
        return PERMANENT


class _PromptCompressor(Compressor):
    """Makes each coding at once: the next answer has it."""

    def __init__(self) -> None:
        super().__init__(lambda call: call(), lambda _: None)

    def add(self, task: Task) -> bool:
        self._code(task)
        return True

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:  # noqa: ARG002
        return True

    def add_file(self, task: FileTask) -> bool:
        task.run(lambda: None, lambda call: call())
        return True


class Question(NamedTuple):
    """What is asked for; ``target`` is a path with its query, ``fields`` are sent in addition to Host."""

    target: bytes
    host: bytes = b"localhost"
    scheme: bytes = b"http"
    fields: Mapping[bytes, bytes] = {}


class Asked(NamedTuple):
    """A question and its answer.

    ``request`` is None if the octets are no request. ``lookups`` are the paths of names that the
    catalogue was asked for, in their order, and what stands there. ``site`` is the number of the site.
    """

    question: Question
    request: Request | None
    response: Response
    lookups: tuple[tuple[Names, Resource], ...] = ()
    site: int = 0

    @property
    def location(self) -> bytes | None:
        """Where the client is sent."""
        return self.find_field(b"location")

    def find_field(self, name: bytes) -> bytes | None:
        """Return the value of a field of the answer; the name is in lower case."""
        return next((value for key, value in self.response.fields if key.lower() == name), None)

    def read(self) -> bytes:
        """Return the content of the answer."""
        return b"".join(
            one if isinstance(one, bytes) else os.pread(one.file.descriptor, one.length, one.offset)
            for one in self.response.content
        )


class Subject:
    """The sites that are examined; ``reports`` are the lines that the operator would be told."""

    def __init__(self, settings: Settings) -> None:
        """Raise `OperatorError` if a site cannot be served."""
        self.reports: list[str] = []
        report = self.reports.append
        self.settings = select_sites(settings)
        """Those of each site."""
        self._loop = EventLoop(open_poller("auto"), report)
        self._wakeup = Wakeup(self._loop)
        self._access = Access(self.settings, self._loop, self._wakeup.call, report, None)
        self._sites = Sites(
            settings,
            self._loop,
            self._wakeup.call,
            on_root_out_of_reach=lambda reason, _: report(reason),
            access=self._access,
            budget=Budget(settings.cache_octets),
            tells_mistakes=True,
            kind=TracedCatalogue,
            compressor=_PromptCompressor(),
        )
        self.rulebooks = self._sites.rulebooks
        """Those of each site."""
        self.catalogues = [
            one for one in self._sites.catalogues if isinstance(one, TracedCatalogue)
        ]
        for catalogue in self.catalogues:
            catalogue.begin()
        self.hosts = [b"localhost"] * len(self.settings)
        """A host of each site."""
        for number, (patterns, is_default) in enumerate(select_hosts(settings)):
            if patterns and not is_default:
                self.hosts[number] = patterns[0].replace("*", "any").encode()
        self._respond = select_responder(settings, self._sites.respond, lambda: None)
        self._reader = HeadReader(Limits(), self._sites.relevant_fields)

    def ask(self, question: Question) -> Asked:
        """Return the answer to a question, asked by GET."""
        for catalogue in self.catalogues:
            catalogue.begin()
        lines = [b"GET %b HTTP/1.1" % question.target, b"Host: %b" % question.host]
        lines += [b"%b: %b" % field for field in question.fields.items()]
        head = b"\r\n".join([*lines, b"", b""])
        reduced = self._reader.reduce(head)
        read = reduced if isinstance(reduced, Refusal) else self._reader.read(reduced)
        if isinstance(read, Refusal):
            return Asked(question, None, Response(read.status))
        request = read.request
        request.scheme, request.scope = question.scheme, ANY_SCOPE
        response = self._respond(request)
        while isinstance(response, Later):
            response.begin("")
            while not response.is_done:
                self._loop.run_batch(1.0)
            response = response.conclude()
        for number, catalogue in enumerate(self.catalogues):
            if catalogue.lookups:
                return Asked(question, request, response, tuple(catalogue.lookups), number)
        return Asked(question, request, response, (), self._find_site(question))

    def _find_site(self, question: Question) -> int:
        """Return the site of a host; for an answer for which the catalogue was asked nothing."""
        return self.hosts.index(question.host) if question.host in self.hosts else 0

    def close(self) -> None:
        """Give back every descriptor."""
        self._access.close()
        self._wakeup.close(gives_back=False)
        self._loop.close()
        self._sites.close()
