"""The event loop: readiness of a descriptor in, a call of its handler out."""

from epollo.loop.clock import Clock, SystemClock
from epollo.loop.event_loop import EventLoop, Handler
from epollo.loop.wakeup import Wakeup
from epollo.pollers.contract import ERROR, HANGUP, READABLE, WRITABLE

__all__ = [
    "ERROR",
    "HANGUP",
    "READABLE",
    "WRITABLE",
    "Clock",
    "EventLoop",
    "Handler",
    "SystemClock",
    "Wakeup",
]
