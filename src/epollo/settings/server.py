"""What an operator decides of the processes that serve: their rights, logs, memory and limits."""

from functools import partial

from epollo.annotations import Final
from epollo.quantities import DAY_SECONDS, MEBIBYTE
from epollo.settings.option import option
from epollo.settings.record import Record

POLLER_NAMES: Final = ("auto", "busy", "select", "poll", "epoll")

_timeout: Final = partial(option, group="Timeouts", maximum=DAY_SECONDS, unit="seconds")
_limit: Final = partial(option, group="Limits")


class ServerSettings(Record):
    """How the server works, whatever it serves."""

    poller: str = option(
        "auto",
        "--poller",
        group="For developers",
        manual=(
            "How epollo waits for sockets. auto takes the best that the system has; busy asks "
            "every socket in turn, to show what that costs."
        ),
        choices=POLLER_NAMES,
    )
    workers: str = option(
        "0",
        "--workers",
        group="Workers",
        manual=(
            "How many processes serve. auto starts one for each processor; 0 serves in this "
            "process. A parent replaces workers that die."
        ),
        choices=("0", "auto", *map(str, range(1, 257))),
        unit="number",
    )
    sandbox: str = option(
        "auto",
        "--sandbox",
        group="Workers",
        manual=(
            "Allow the process to read the served folder and no other file (Landlock), and to make no "
            "sockets, programs or processes (seccomp). auto does so with --workers, as far as the "
            "kernel can."
        ),
        choices=("auto", "on", "off"),
    )
    user: str = option(
        "",
        "--user",
        group="Workers",
        unit="user",
        manual=(
            "If started as root, serve as this user: USER or USER:GROUP, for example www-data."
        ),
    )
    quiet: bool = option(
        False,
        "--quiet",
        "-q",
        group="Logs",
        manual="Do not print a line for each request.",
    )
    access_log: str = option(
        "",
        "--access-log",
        group="Logs",
        manual=(
            "Write a line for each request to this file. - is stdout; the first lines then go to "
            "stderr."
        ),
        unit="file",
    )
    access_log_format: str = option(
        "combined",
        "--access-log-format",
        group="Logs",
        manual=(
            "The form of a line in the access log. combined is that of nginx and Apache; json is "
            "one object on each line."
        ),
        choices=("common", "combined", "json"),
    )
    cache_octets: int = option(
        256 * MEBIBYTE,
        "--cache-size",
        group="Caching and compression",
        manual=(
            "Keep at most this much in memory: files, their compressed forms, answers, and names "
            "of what is not there."
        ),
        minimum=0,
        unit="octets",
    )
    recall: bool = option(
        True,
        "--recall/--no-recall",
        group="For developers",
        manual=(
            "Send a rendered answer again to a request with the same bytes. The answers are the "
            "same without it, only slower."
        ),
    )
    grace_seconds: float = _timeout(
        10.0,
        "--grace",
        manual="When stopped, wait at most this long for answers that are being sent.",
        minimum=0,
    )
    idle_seconds: float = _timeout(
        75.0,
        "--idle-timeout",
        manual="Close a connection that makes no request for this long.",
        minimum=1,
    )
    head_seconds: float = _timeout(
        10.0,
        "--request-timeout",
        manual=(
            "Close a connection whose request is not complete after this time, even if bytes "
            "still arrive."
        ),
        minimum=1,
    )
    send_seconds: float = _timeout(
        30.0,
        "--send-timeout",
        manual="Close a connection whose client takes nothing of its answer for this long.",
        minimum=1,
    )
    slowest_octets_per_second: int = option(
        256,
        "--min-rate",
        group="Timeouts",
        manual=(
            "Close a connection whose client takes its answer more slowly than this, averaged "
            "over 10 seconds. 0 sets no limit."
        ),
        minimum=0,
        unit="octets/second",
    )
    request_line_octets_limit: int = _limit(
        8192,
        "--max-request-line",
        manual="Answer 414 if the request line is longer. Browsers send no longer ones.",
        minimum=64,
        maximum=MEBIBYTE,
        unit="octets",
    )
    head_octets_limit: int = _limit(
        32 * 1024,
        "--max-head",
        manual="Answer 431 if the request line and headers together are longer.",
        minimum=256,
        maximum=MEBIBYTE,
        unit="octets",
    )
    fields_limit: int = _limit(
        100,
        "--max-fields",
        manual="Answer 431 if a request has more headers. A browser sends about 15.",
        minimum=1,
        maximum=10_000,
        unit="number",
    )
    content_octets_limit: int = _limit(
        64 * 1024,
        "--max-content",
        manual=(
            "If a request has more content, close its connection after the answer. Content is read and "
            "not used."
        ),
        minimum=0,
        unit="octets",
    )
    connections_limit: int = _limit(
        0,
        "--max-connections",
        manual=(
            "How many connections a worker keeps open. At the limit it closes idle ones; if none "
            "is idle, one of the address that has most, for an address that has fewer; else a new "
            "client is answered 503. 0 allows as many as the system has descriptors for."
        ),
        zero="as descriptors allow",
        minimum=0,
        unit="number",
    )
    connections_per_address_limit: int = _limit(
        0,
        "--max-connections-per-address",
        manual=(
            "How many connections one address, or one /64 of IPv6, may have. At the limit a worker does "
            "as with --max-connections. 0 sets no limit, because many people may share an address."
        ),
        zero="no limit",
        minimum=0,
        unit="number",
    )
    requests_limit: int = _limit(
        0,
        "--max-requests",
        manual=(
            "Close a connection after this many requests, so that its client may connect to "
            "another worker. 0 sets no limit."
        ),
        zero="no limit",
        minimum=0,
        unit="number",
    )
