"""How bytes reach a peer and come from it: plain sockets, and TLS sessions that look like one."""

from epollo.transports.contract import LAST, PLAIN, Kind, Transport, format_scope

__all__ = ["LAST", "PLAIN", "Kind", "Transport", "format_scope"]
