"""Alerts that are sent before there is a session (RFC 8446 section 6)."""

from enum import IntEnum


class Alert(IntEnum):
    """The description of a fatal alert (RFC 8446 section 6; 120 is of RFC 7301 section 3.2)."""

    UNEXPECTED_MESSAGE = 10
    RECORD_OVERFLOW = 22
    DECODE_ERROR = 50
    INTERNAL_ERROR = 80
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120


_FATAL = 2


def format_alert(alert: Alert) -> bytes:
    """Return the record of a fatal alert, not protected: no keys were agreed on yet.

    Its version is that of TLS 1.2, as in all records of TLS 1.3 (RFC 8446 section 5.1).
    """
    return bytes((21, 3, 3, 0, 2, _FATAL, alert))
