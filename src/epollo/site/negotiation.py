"""Which content coding a request gets, and which codings are to be made for the requests to come."""

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.http.content_coding import (
    IDENTITY,
    CodingPreference,
    parse_accept_encoding,
    select_coding,
)
from epollo.http.message import PERMANENT, Basis
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.demand import select_wanted
from epollo.site.representation import Edition
from epollo.site.resource import Resource

# Below this a coding saves no packet, and its field line costs octets.
COMPRESSED_OCTETS_MINIMUM: Final = 256


class Negotiator:
    """The choice of a coding (RFC 9110 section 12.5.3); without a compressor none is made."""

    def __init__(self, catalogue: Catalogue, compressor: Compressor | None) -> None:
        self._catalogue = catalogue
        self._compressor = compressor
        # What Accept-Encoding means, where it was seen lately: to read it takes eight microseconds.
        self._preferences: Generations[bytes, tuple[CodingPreference, bytes | None]] = Generations(
            entries_limit=512, octets_limit=64 * 1024
        )

    def negotiate(
        self, accept_encoding: bytes, resource: Resource, edition: Edition
    ) -> tuple[bytes, Basis | None]:
        """Return the coding to send now, and what else bounds how long the same request may get it.

        None if it may not: an answer that is recalled would ask for no other codings.
        """
        known = self._preferences.young.get(accept_encoding)
        if known is None:
            octets = len(accept_encoding)
            known = self._preferences.get(accept_encoding, octets)
            if known is None:
                preference = parse_accept_encoding(accept_encoding)
                known = preference, select_wanted(preference)
                self._preferences.put(accept_encoding, known, octets)
        preference, wanted = known
        until: Basis | None = PERMANENT
        if (
            wanted is not None
            and wanted not in resource.offered
            and self._compressor is not None
            and edition.identity.length >= COMPRESSED_OCTETS_MINIMUM
        ):
            until = self._catalogue.offer(resource, self._compressor, wanted)
        if not edition.coded:
            return IDENTITY, until
        # RFC 9110 section 12.5.3: where nothing is acceptable, send it as it is.
        return select_coding(preference, edition.lengths) or IDENTITY, until
