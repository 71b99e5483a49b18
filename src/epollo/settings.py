"""Every option once: its name, its type, its default, its group and its manual.

The command line, its ``--help`` and ``docs/reference.md`` are made from this table; a test compares
them. It is longer than any other file, because it is one table.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from epollo.quantities import format_octets

POLLER_NAMES: Final = ("auto", "busy", "select", "poll", "epoll")

CACHE_CONTROL_WORDS: Final = ("auto", "none")

GROUPS: Final = (
    "Serving",
    "Addresses",
    "TLS",
    "Workers",
    "Logs",
    "Access",
    "Caching and compression",
    "Timeouts",
    "Limits",
    "Behind a proxy",
    "For developers",
)
"""The sections of ``--help``, in their order."""

MEBIBYTE: Final = 1024 * 1024
DAY_SECONDS: Final = 86_400


def describe_choices(choices: Sequence[str]) -> str:
    """Return choices as text; of more than three numbers, the first and the last."""
    words = [choice for choice in choices if not choice.isdigit()]
    numbers = [choice for choice in choices if choice.isdigit()]
    if len(numbers) > 3:
        numbers = [f"{numbers[0]} to {numbers[-1]}"]
    return ", ".join(words + numbers)


@dataclass(frozen=True)
class Option:
    """How a setting is shown to the operator.

    ``flags`` are what may be typed, the first of them the name; ``group`` is one of `GROUPS`; ``unit``
    is what a number counts, or the kind of a text. ``is_cache_control`` is whether a text is one of
    `CACHE_CONTROL_WORDS` or a value of Cache-Control.
    """

    flags: tuple[str, ...]
    manual: str
    group: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    is_cache_control: bool = False


def _option(default: Any, *flags: str, manual: str, group: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(flags, manual, group, **more)})


@dataclass(frozen=True)
class Settings:
    """What an operator can decide."""

    root: Path = _option(
        Path(),
        "-d",
        "--directory",
        group="Serving",
        unit="folder",
        manual="The folder to serve, for example /srv/site.",
    )
    follow_links: str = _option(
        "",
        "--follow-links",
        group="Serving",
        unit="folders",
        manual=(
            "Follow symbolic links that lead into these folders, for example /nix/store,/srv/data. "
            "A link that leads anywhere else outside the served folder is 404."
        ),
    )
    allow_hidden: str = _option(
        "",
        "--allow-hidden",
        group="Serving",
        unit="patterns",
        manual=(
            "Serve files and folders whose names begin with a dot and match one of these patterns, "
            "for example .zgroup,.zattrs,.zarray. Otherwise they are 404."
        ),
    )
    clean_urls: bool = _option(
        True,
        "--clean-urls/--no-clean-urls",
        group="Serving",
        manual="Let /about find about.html.",
    )
    spa: bool = _option(
        False,
        "--spa",
        group="Serving",
        manual=(
            "Send the index.html of the served folder to a browser that navigates to a page which is "
            "not there, as single-page apps need. A script or picture that is not there is still 404."
        ),
    )
    listing: str = _option(
        "auto",
        "--listing",
        group="Serving",
        manual=(
            "Show what a folder without index.html holds. auto does so unless the served folder has "
            "an index.html, which makes it a site; off answers 404."
        ),
        choices=("auto", "on", "off"),
    )
    host: str = _option(
        "127.0.0.1",
        "--host",
        "-b",
        "--bind",
        group="Addresses",
        unit="address",
        manual="Listen on this address. 0.0.0.0 lets the whole network connect; ::1 is IPv6.",
    )
    port: int = _option(
        7890,
        "--port",
        "-p",
        group="Addresses",
        unit="number",
        manual="Listen on this port. 0 takes any free port; the first lines print it.",
        minimum=0,
        maximum=65535,
    )
    allowed_hosts: str = _option(
        "",
        "--allowed-hosts",
        group="Addresses",
        unit="hosts",
        manual=(
            "Answer requests for these hosts only, and all others with 421, for example "
            "local,example.org,*.example.org. local stands for localhost and loopback addresses. "
            "Without it every host is answered."
        ),
    )
    poller: str = _option(
        "auto",
        "--poller",
        group="For developers",
        manual=(
            "How epollo waits for sockets. auto takes the best that the system has; busy asks "
            "every socket in turn, to show what that costs."
        ),
        choices=POLLER_NAMES,
    )
    unix: str = _option(
        "",
        "--unix",
        group="Addresses",
        unit="path",
        manual=(
            "Listen at this path, as a unix-domain socket, instead of on an address, for example "
            "/run/epollo.sock."
        ),
    )
    tls_certificates: tuple[str, ...] = _option(
        (),
        "--tls-cert",
        group="TLS",
        unit="file",
        manual=(
            "Speak https with the certificate of this file: PEM, the chain behind it. Each "
            "certificate needs a --tls-key. May be given several times: the name that a client "
            "asks for selects one. A file that changes is in use at the next handshake."
        ),
    )
    tls_keys: tuple[str, ...] = _option(
        (),
        "--tls-key",
        group="TLS",
        unit="file",
        manual="The private key of the certificate, as PEM and not encrypted.",
    )
    tls_port: int = _option(
        0,
        "--tls-port",
        group="TLS",
        unit="number",
        manual=(
            "Speak https on this port, and let --port redirect plain http there. 0 speaks https on "
            "--port, and no plain http."
        ),
        minimum=0,
        maximum=65535,
    )
    tls_self_signed: bool = _option(
        False,
        "--tls-self-signed",
        group="TLS",
        manual=(
            "Speak https with a certificate for this machine, made by epollo. It is signed by an "
            "authority of your own, which a browser has to be told once to trust; the first lines "
            "say where it is. Needs the extra: pip install 'epollo[tls]'."
        ),
    )
    acme: str = _option(
        "",
        "--acme",
        group="TLS",
        unit="email",
        manual=(
            "Obtain certificates for each --domain from Let's Encrypt, and renew them, as the user "
            "with this address. Needs --workers and the extra: pip install 'epollo[tls]'."
        ),
    )
    domains: tuple[str, ...] = _option(
        (),
        "--domain",
        group="TLS",
        unit="name",
        manual="A name to obtain a certificate for. May be given several times.",
    )
    acme_directory: str = _option(
        "production",
        "--acme-directory",
        group="TLS",
        unit="url",
        manual=(
            "Where to obtain certificates: production or staging of Let's Encrypt, or the URL of "
            "another authority's directory."
        ),
    )
    acme_ca: str = _option(
        "",
        "--acme-ca",
        group="TLS",
        unit="file",
        manual="Trust these certificates, as PEM, when asking the authority, instead of the system's.",
    )
    acme_profile: str = _option(
        "",
        "--acme-profile",
        group="TLS",
        unit="name",
        manual=(
            "Ask for certificates of this profile of the authority, for example shortlived: six "
            "days, from Let's Encrypt."
        ),
    )
    hsts_seconds: float = _option(
        0.0,
        "--hsts",
        group="TLS",
        unit="seconds",
        manual=(
            "Tell browsers to use nothing but https for this host for this long, for example "
            "365d (Strict-Transport-Security). 0 tells them nothing."
        ),
        minimum=0,
        maximum=10 * 366 * DAY_SECONDS,
    )
    workers: str = _option(
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
    sandbox: str = _option(
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
    user: str = _option(
        "",
        "--user",
        group="Workers",
        unit="user",
        manual=(
            "If started as root, serve as this user: USER or USER:GROUP, for example www-data."
        ),
    )
    quiet: bool = _option(
        False,
        "--quiet",
        "-q",
        group="Logs",
        manual="Do not print a line for each request.",
    )
    access_log: str = _option(
        "",
        "--access-log",
        group="Logs",
        manual=(
            "Write a line for each request to this file. - is stdout; the first lines then go to "
            "stderr."
        ),
        unit="file",
    )
    access_log_format: str = _option(
        "combined",
        "--access-log-format",
        group="Logs",
        manual=(
            "The form of a line in the access log. combined is that of nginx and Apache; json is "
            "one object on each line."
        ),
        choices=("common", "combined", "json"),
    )
    media_types: tuple[str, ...] = _option(
        (),
        "--media-type",
        group="Serving",
        unit="extension=type",
        manual=(
            "Send files with this extension as this media type, for example "
            "foo=application/x-foo. May be given several times."
        ),
    )
    default_type: str = _option(
        "",
        "--default-type",
        group="Serving",
        unit="type",
        manual=(
            "Send files of an unknown extension as this media type, for example text/plain; "
            "without it, as application/octet-stream."
        ),
    )
    charset: str = _option(
        "",
        "--charset",
        group="Serving",
        unit="name",
        manual=(
            "The charset of text that is not UTF-8 and does not name another, for example iso-8859-1; "
            "without it, browsers guess."
        ),
    )
    auth: str = _option(
        "",
        "--auth",
        group="Access",
        unit="file",
        manual=(
            "Ask for a user and a password of this file, for example /etc/epollo.htpasswd, which "
            "htpasswd -B -c FILE USER writes. A change of it holds from the next request on."
        ),
    )
    auth_paths: str = _option(
        "/",
        "--auth-paths",
        group="Access",
        unit="paths",
        manual="Ask for a password at and below these paths only, for example /private,/drafts.",
    )
    cors: str = _option(
        "",
        "--cors",
        group="Access",
        unit="origins",
        manual=(
            "Let scripts of other sites read the answers: any, or a list of origins, for example "
            "https://example.com,http://localhost:5173."
        ),
    )
    isolate: bool = _option(
        False,
        "--isolate",
        group="Access",
        manual=(
            "Isolate the pages from those of other sites (COOP and COEP), as threads in WebAssembly and "
            "SharedArrayBuffer need it."
        ),
    )
    cache_octets: int = _option(
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
    kept_octets_limit: int = _option(
        MEBIBYTE,
        "--keep-size",
        group="Caching and compression",
        manual=("Keep files up to this size in memory. Longer files are read while they are sent."),
        minimum=0,
        unit="octets",
    )
    compress: bool = _option(
        True,
        "--compress/--no-compress",
        group="Caching and compression",
        manual=(
            "Send text compressed (br, zstd, gzip). It is compressed once per version of a file, "
            "in the background."
        ),
    )
    cache_control: str = _option(
        "auto",
        "--cache-control",
        group="Caching and compression",
        manual=(
            "What browsers may keep. auto: they ask each time, except for files with a "
            "fingerprint in the name (app-DRf8L97S.js); none: no Cache-Control header; any other "
            "value, for example 'public, max-age=600', is sent with every file."
        ),
        unit="value",
        is_cache_control=True,
    )
    recall: bool = _option(
        True,
        "--recall/--no-recall",
        group="For developers",
        manual=(
            "Send a rendered answer again to a request with the same bytes. The answers are the "
            "same without it, only slower."
        ),
    )
    grace_seconds: float = _option(
        10.0,
        "--grace",
        group="Timeouts",
        manual="When stopped, wait at most this long for answers that are being sent.",
        minimum=0,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    idle_seconds: float = _option(
        75.0,
        "--idle-timeout",
        group="Timeouts",
        manual="Close a connection that makes no request for this long.",
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    head_seconds: float = _option(
        10.0,
        "--request-timeout",
        group="Timeouts",
        manual=(
            "Close a connection whose request is not complete after this time, even if bytes "
            "still arrive."
        ),
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    send_seconds: float = _option(
        30.0,
        "--send-timeout",
        group="Timeouts",
        manual="Close a connection whose client takes nothing of its answer for this long.",
        minimum=1,
        maximum=DAY_SECONDS,
        unit="seconds",
    )
    slowest_octets_per_second: int = _option(
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
    request_line_octets_limit: int = _option(
        8192,
        "--max-request-line",
        group="Limits",
        manual="Answer 414 if the request line is longer. Browsers send no longer ones.",
        minimum=64,
        maximum=MEBIBYTE,
        unit="octets",
    )
    head_octets_limit: int = _option(
        32 * 1024,
        "--max-head",
        group="Limits",
        manual="Answer 431 if the request line and headers together are longer.",
        minimum=256,
        maximum=MEBIBYTE,
        unit="octets",
    )
    fields_limit: int = _option(
        100,
        "--max-fields",
        group="Limits",
        manual="Answer 431 if a request has more headers. A browser sends about 15.",
        minimum=1,
        maximum=10_000,
        unit="number",
    )
    content_octets_limit: int = _option(
        64 * 1024,
        "--max-content",
        group="Limits",
        manual=(
            "If a request has more content, close its connection after the answer. Content is read and "
            "not used."
        ),
        minimum=0,
        unit="octets",
    )
    connections_limit: int = _option(
        0,
        "--max-connections",
        group="Limits",
        manual=(
            "How many connections a worker keeps open. At the limit it closes idle ones; if none "
            "is idle, one of the address that has most, for an address that has fewer; else a new "
            "client is answered 503. 0 allows as many as the system has descriptors for."
        ),
        minimum=0,
        unit="number",
    )
    connections_per_address_limit: int = _option(
        0,
        "--max-connections-per-address",
        group="Limits",
        manual=(
            "The same for one address, or one /64 of IPv6. 0 sets no limit, because many people "
            "may share an address."
        ),
        minimum=0,
        unit="number",
    )
    requests_limit: int = _option(
        0,
        "--max-requests",
        group="Limits",
        manual=(
            "Close a connection after this many requests, so that its client may connect to "
            "another worker. 0 sets no limit."
        ),
        minimum=0,
        unit="number",
    )
    has_proxy_protocol: bool = _option(
        False,
        "--proxy-protocol",
        group="Behind a proxy",
        manual=(
            "Expect a PROXY header (version 1 or 2) at the start of every connection. Its address"
            " is logged and limited."
        ),
    )
    proxies: str = _option(
        "127.0.0.0/8,::1",
        "--proxy-from",
        group="Behind a proxy",
        manual=(
            "Believe proxies at these addresses and networks only, for example 10.0.0.0/8,::1. "
            "With --proxy-protocol, a connection from another address is closed."
        ),
        unit="networks",
    )
    forwarded: str = _option(
        "off",
        "--forwarded",
        group="Behind a proxy",
        manual=(
            "Which header of a proxy says the address of a client, for the log and for guesses of "
            "passwords. Choose the one that the proxy writes: clients can send the other."
        ),
        choices=("off", "x-forwarded-for", "forwarded"),
    )
    sites: tuple[dict[str, Any], ...] = ()
    """The tables ``[[site]]`` of the settings file: ``hosts``, ``default``, settings by their names."""


def describe_default(option: Option, default: Any) -> str:
    """Return a default as the operator writes it; an empty text if there is none."""
    if isinstance(default, bool):
        return "on" if default else ""
    if isinstance(default, Path):
        return "the current folder"
    if isinstance(default, tuple):
        return ", ".join(default)
    if option.unit.startswith("octets"):
        return format_octets(default)
    return f"{default:g}s" if option.unit == "seconds" else str(default)


def dump_settings(settings: Settings) -> str:
    """Return settings as text for another process."""
    return json.dumps(asdict(settings), default=os.fspath)


def load_settings(text: str) -> Settings:
    """Return the settings that `dump_settings` wrote."""
    values = json.loads(text)
    for one in fields(Settings):
        if isinstance(one.default, Path) and values[one.name] is not None:
            values[one.name] = Path(values[one.name])
        elif isinstance(one.default, tuple):
            values[one.name] = tuple(values[one.name])
    return Settings(**values)


def list_options() -> dict[str, tuple[Option, Any]]:
    """Return every option and its default, by the name of its setting."""
    return {
        one.name: (one.metadata["option"], one.default)
        for one in fields(Settings)
        if "option" in one.metadata
    }
