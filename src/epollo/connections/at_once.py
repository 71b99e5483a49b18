"""Sends a head and a part of a file at once: if the peer takes both, they need no outbox."""

import os
from _socket import MSG_DONTWAIT

from epollo.annotations import Final
from epollo.connections.outbox import NO_SENDFILE
from epollo.connections.service import Service
from epollo.http.message import FileSegment
from epollo.protocols.answer import STEP_OCTETS_MINIMUM
from epollo.transports import Kind, Transport

_COPIED_OCTETS: Final = 16 * 1024
"""A part of a file up to this length is read: the copy costs less than another system call."""


def send_with_part(
    service: Service,
    transport: Transport,
    kind: Kind,
    octets: bytes,
    part: FileSegment,
    *,
    descriptor: int,
) -> int:
    """Send octets and a part of a file behind them; return how many the peer took of both together.

    Return 0 if the file has to be compared while it is sent, which an outbox does. ``descriptor`` is
    the transport's, -1 while the socket is a blocking one: sendfile(2) knows no MSG_DONTWAIT. Raises
    `OSError`, but no `BlockingIOError` once octets were sent.
    """
    file, offset, length = part
    # The file was compared with its version in this turn, which is enough for one step.
    if not (file.is_sealed or file.is_settled or file.settle()):
        return 0
    if length <= _COPIED_OCTETS:
        content = os.pread(file.descriptor, length, offset)
        return transport.send(octets + content, MSG_DONTWAIT) if len(content) == length else 0
    if not kind.sends_files:
        memory = file.map()
        if memory is None:
            return 0
        return transport.sendmsg((octets, memory[offset : offset + length]), (), MSG_DONTWAIT)
    if descriptor < 0:
        return 0
    sent = transport.send(octets, MSG_DONTWAIT)
    if sent == len(octets):
        if length > STEP_OCTETS_MINIMUM:
            loop = service.loop
            length = min(length, service.steps.share(loop.clock.now, loop.batch_length))
        try:
            sent += os.sendfile(descriptor, file.descriptor, offset, length)
        except BlockingIOError:
            pass
        except OSError as error:
            # The outbox reads the file instead.
            if error.errno not in NO_SENDFILE:
                raise
    return sent
