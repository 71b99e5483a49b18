"""Every option once: its name, its type, its default and its manual.

The command line and the manual in the README are made from this table; a test holds the three
together.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

POLLER_NAMES: Final = ("auto", "busy", "select", "poll", "epoll")

CACHE_CONTROL_WORDS: Final = ("auto", "none")

MEBIBYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400


def describe_choices(choices: Sequence[str]) -> str:
    """Return choices for a person; many numbers in a row by the first and the last of them."""
    words = [choice for choice in choices if not choice.isdigit()]
    numbers = [choice for choice in choices if choice.isdigit()]
    if len(numbers) > 3:
        numbers = [f"{numbers[0]} to {numbers[-1]}"]
    return ", ".join(words + numbers)


@dataclass(frozen=True)
class Option:
    """How a setting is shown to a person.

    ``flags`` are what may be typed, the first of them the name; ``unit`` is what a number counts.
    ``is_cache_control`` is whether a text is one of `CACHE_CONTROL_WORDS` or a value of Cache-Control.
    """

    flags: tuple[str, ...]
    manual: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    is_cache_control: bool = False


def _option(default: Any, *flags: str, manual: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(flags, manual, **more)})


@dataclass(frozen=True)
class Settings:
    """What an operator can decide."""

    root: Path = _option(Path(), "-d", "--directory", manual="The folder to serve.")
    host: str = _option(
        "127.0.0.1",
        "--host",
        "-b",
        "--bind",
        manual="The address to listen on; 0.0.0.0 shares with the network.",
    )
    port: int = _option(
        7890,
        "--port",
        "-p",
        manual="The port to listen on; 0 takes a free one.",
        minimum=0,
        maximum=65535,
    )
    poller: str = _option(
        "auto",
        "--poller",
        manual="How readiness is learned; auto takes the best that the system has.",
        choices=POLLER_NAMES,
    )
    unix: str = _option(
        "",
        "--unix",
        manual="Listen at this path, as a unix-domain socket, instead of on an address.",
    )
    workers: str = _option(
        "0",
        "--workers",
        manual=(
            "How many processes serve, auto for one per processor that they may use, under a parent "
            "that replaces them; 0 serves in this very process."
        ),
        choices=("0", "auto", *map(str, range(1, 257))),
        unit="number",
    )
    sandbox: str = _option(
        "auto",
        "--sandbox",
        manual=(
            "Give up every right over files but reading the root (Landlock); auto does with "
            "--workers, where the kernel can."
        ),
        choices=("auto", "on", "off"),
    )
    user: str = _option(
        "",
        "--user",
        manual="Whom a worker becomes that was started as root: USER or USER:GROUP.",
    )
    quiet: bool = _option(False, "--quiet", "-q", manual="Print no line for each request.")
    access_log: str = _option(
        "",
        "--access-log",
        manual=(
            "Write a line for each request, in batches, to this file; - is stdout, and leaves it to "
            "the log."
        ),
        unit="file",
    )
    access_log_format: str = _option(
        "combined",
        "--access-log-format",
        manual="What such a line looks like; json is an object on each line.",
        choices=("common", "combined", "json"),
    )
    cache_octets: int = _option(
        256 * MEBIBYTE,
        "--cache-size",
        manual="How much of the site is kept in memory.",
        minimum=0,
        unit="octets",
    )
    kept_octets_limit: int = _option(
        MEBIBYTE,
        "--keep-size",
        manual="Files longer than this are read while they are sent, not kept in memory.",
        minimum=0,
        unit="octets",
    )
    compress: bool = _option(
        True,
        "--compress/--no-compress",
        manual="Make br, zstd and gzip codings of text, in the background, once per version.",
    )
    cache_control: str = _option(
        "auto",
        "--cache-control",
        manual=(
            "What Cache-Control tells browsers of files: with auto, a browser asks each time whether a "
            "file has changed, but keeps files whose names carry a fingerprint of their content; with "
            "none, the header is left out; any other VALUE is sent with every file."
        ),
        unit="value",
        is_cache_control=True,
    )
    recall: bool = _option(
        True,
        "--recall/--no-recall",
        manual="Answer a request that is known octet for octet unread.",
    )
    grace_seconds: float = _option(
        10.0,
        "--grace",
        manual="How long a stop waits for answers that are under way.",
        minimum=0,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    idle_seconds: float = _option(
        75.0,
        "--idle-timeout",
        manual="How long a connection may stay open between two requests.",
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    head_seconds: float = _option(
        10.0,
        "--request-timeout",
        manual="How long a request may take to arrive; no octet of it extends this.",
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    send_seconds: float = _option(
        30.0,
        "--send-timeout",
        manual="How long a peer may take nothing at all of its answer.",
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    slowest_octets_per_second: int = _option(
        256,
        "--min-rate",
        manual=(
            "How slowly a peer may take its answer, averaged over 10 seconds: the slowest links are "
            "faster, and who trickles holds a connection for nothing; 0 waits for anybody."
        ),
        minimum=0,
        unit="octets/second",
    )
    request_line_octets_limit: int = _option(
        8192,
        "--max-request-line",
        manual="A longer request line is answered 414; browsers make no longer ones.",
        minimum=64,
        maximum=MEBIBYTE,
        unit="octets",
    )
    head_octets_limit: int = _option(
        32 * 1024,
        "--max-head",
        manual="A longer request head is answered 431; it is all that a peer can have us keep.",
        minimum=256,
        maximum=MEBIBYTE,
        unit="octets",
    )
    fields_limit: int = _option(
        100,
        "--max-fields",
        manual="A request with more fields is answered 431; a browser sends some fifteen.",
        minimum=1,
        maximum=10_000,
        unit="number",
    )
    content_octets_limit: int = _option(
        64 * 1024,
        "--max-content",
        manual=(
            "So much content of a request is read past, as there is no use for any; more ends the "
            "connection."
        ),
        minimum=0,
        unit="octets",
    )
    connections_limit: int = _option(
        0,
        "--max-connections",
        manual=(
            "How many connections a worker has open; beyond it the idle ones are closed, and then "
            "who comes is answered 503. 0 is what the limit of descriptors leaves room for."
        ),
        minimum=0,
        unit="number",
    )
    connections_per_address_limit: int = _option(
        0,
        "--max-connections-per-address",
        manual=("The same for one address; 0 is no limit, since many people may share an address."),
        minimum=0,
        unit="number",
    )
    requests_limit: int = _option(
        0,
        "--max-requests",
        manual=(
            "How many requests a connection may make, so that long ones come to another worker at "
            "times; 0 is no limit."
        ),
        minimum=0,
        unit="number",
    )
    has_proxy_protocol: bool = _option(
        False,
        "--proxy-protocol",
        manual=(
            "Every connection begins with a header of the PROXY protocol (1 or 2), whose address is "
            "the one that is logged and limited."
        ),
    )
    proxies: str = _option(
        "127.0.0.0/8,::1",
        "--proxy-from",
        manual=(
            "The addresses and networks, with commas between, whose PROXY header is believed; any "
            "other peer is closed."
        ),
        unit="networks",
    )


def dump_settings(settings: Settings) -> str:
    """Return settings as text for another process."""
    return json.dumps(asdict(settings), default=os.fspath)


def load_settings(text: str) -> Settings:
    """Return the settings that `dump_settings` wrote."""
    values = json.loads(text)
    for one in fields(Settings):
        if isinstance(one.default, Path) and values[one.name] is not None:
            values[one.name] = Path(values[one.name])
    return Settings(**values)


def list_options() -> dict[str, tuple[Option, Any]]:
    """Return every option and its default, by the name of its setting."""
    return {one.name: (one.metadata["option"], one.default) for one in fields(Settings)}
