"""The event loop: readiness of a descriptor in, a call of its handler out."""

from epollo.loop.clock import Clock, SystemClock
from epollo.loop.event_loop import EventLoop
from epollo.loop.handler import Handler
from epollo.loop.timers import Timer
from epollo.loop.wakeup import CallInLoop, Wakeup
from epollo.pollers.contract import ERROR, HANGUP, READABLE, WRITABLE

__all__ = [
    "ERROR",
    "HANGUP",
    "READABLE",
    "WRITABLE",
    "CallInLoop",
    "Clock",
    "EventLoop",
    "Handler",
    "SystemClock",
    "Timer",
    "Wakeup",
]
