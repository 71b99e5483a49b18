"""What stands before the sites of a worker: passwords, and what other origins are told."""

from collections.abc import Callable
from functools import partial

from epollo.annotations import TYPE_CHECKING
from epollo.connections.addresses import network_of
from epollo.connections.contract import Responder
from epollo.linux.readiness_signal import signal_readiness
from epollo.loop import CallInLoop, EventLoop
from epollo.settings import SiteSettings
from epollo.site.access.cross_origin import CrossOrigin
from epollo.site.respond import Site

if TYPE_CHECKING:
    # Loaded where a site has passwords or tells other origins something, before a sandbox closes.
    from epollo.http.cross_origin import OriginPolicy
    from epollo.site.access.guard import Guard
    from epollo.site.access.password_file import PasswordFile
    from epollo.site.access.verifier import Verifier


class Access:
    """The responders before those of the sites, by the numbers of these.

    To be made before the process gives up the right to read password files. ``fetch`` asks the parent for
    what the file of a site holds; None if there is no parent.
    """

    def __init__(
        self,
        sites: tuple[SiteSettings, ...],
        loop: EventLoop,
        call_in_loop: CallInLoop,
        report: Callable[[str], None],
        fetch: Callable[[int], None] | None,
    ) -> None:
        self._sites = sites
        self._origins = [_make_origin_policy(site) for site in sites]
        self._files: dict[int, PasswordFile] = {}
        self._guard: type[Guard] | None = None
        self._verifier: Verifier | None = None
        if any(site.auth for site in sites):
            self._open_files(call_in_loop, loop, report, fetch)

    def _open_files(
        self,
        call_in_loop: CallInLoop,
        loop: EventLoop,
        report: Callable[[str], None],
        fetch: Callable[[int], None] | None,
    ) -> None:
        from epollo.site.access import guard, password_file, verifier  # noqa: PLC0415

        self._guard = guard.Guard
        self._verifier = verifier.Verifier(call_in_loop, lambda: loop.clock.now, report, network_of)
        for number, site in enumerate(self._sites):
            if site.auth:
                self._files[number] = password_file.PasswordFile(
                    site.auth,
                    loop.clock,
                    self._verifier.hashes.find_mistake,
                    report,
                    None if fetch is None else partial(fetch, number),
                )

    @property
    def needs_addresses(self) -> bool:
        """Whether the guesses of each address are counted."""
        return bool(self._files)

    @property
    def relevant_fields(self) -> frozenset[bytes]:
        """The fields that an answer may depend on here."""
        return frozenset[bytes]().union(
            *(policy.relevant_fields for policy in self._origins if policy is not None)
        )

    def protect(self, number: int, responder: Site) -> Responder:
        """Return the responder of a site with what stands before it."""
        respond: Responder = responder.respond
        site = self._sites[number]
        file = self._files.get(number)
        if file is not None and self._guard is not None and self._verifier is not None:
            from epollo.site.access.realm import Realm, parse_prefixes  # noqa: PLC0415

            realm = Realm(parse_prefixes(site.auth_paths))
            responder.hide(realm)
            respond = self._guard(
                realm,
                file,
                self._verifier,
                respond,
                responder.find_sources,
                refuse=responder.refuse,
            ).respond
        origins = self._origins[number]
        if origins is not None or site.isolate:
            respond = CrossOrigin(origins, respond, is_isolated=site.isolate).respond
        return respond

    def learn_of_changes(self, loop: EventLoop, note_change: Callable[[], None]) -> None:
        """Have the kernel tell of changes of password files before anything else in a batch."""
        for file in self._files.values():
            if file.descriptor >= 0:
                loop.add_first(file.descriptor, file)
                signal_readiness(file.descriptor, note_change)

    def look_for_changes(self) -> None:
        """Learn of every change of a password file up to now."""
        for file in self._files.values():
            file.on_ready(0)

    def take_passwords(self, number: int, octets: bytes | None) -> None:
        """Take what the password file of a site holds."""
        self._files[number].take(octets)

    def close(self) -> None:
        """Verify and follow nothing more."""
        for file in self._files.values():
            file.close()
        if self._verifier is not None:
            self._verifier.close()


def _make_origin_policy(site: SiteSettings) -> "OriginPolicy | None":
    if not site.cors:
        return None
    from epollo.http.cross_origin import OriginPolicy, parse_origins  # noqa: PLC0415

    return OriginPolicy(parse_origins(site.cors), has_credentials=bool(site.auth))
