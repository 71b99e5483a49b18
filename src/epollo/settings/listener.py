"""What an operator decides of listeners: addresses, TLS, proxies in front."""

from functools import partial

from epollo.annotations import Final
from epollo.quantities import DAY_SECONDS
from epollo.settings.option import option
from epollo.settings.record import Record

_of_tls: Final = partial(option, group="TLS")


class ListenerSettings(Record):
    """Where clients connect, and what is spoken there before HTTP."""

    host: str = option(
        "127.0.0.1",
        "--host",
        "-b",
        "--bind",
        group="Addresses",
        unit="address",
        manual="Listen on this address. 0.0.0.0 lets the whole network connect; ::1 is IPv6.",
    )
    port: int = option(
        7890,
        "--port",
        "-p",
        group="Addresses",
        unit="number",
        manual="Listen on this port. 0 takes any free port; the first lines print it.",
        minimum=0,
        maximum=65535,
    )
    allowed_hosts: str = option(
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
    unix: str = option(
        "",
        "--unix",
        group="Addresses",
        unit="path",
        manual=(
            "Listen at this path, as a unix-domain socket, instead of on an address, for example "
            "/run/epollo.sock."
        ),
    )
    tls_certificates: tuple[str, ...] = _of_tls(
        (),
        "--tls-cert",
        unit="file",
        manual=(
            "Speak https with the certificate of this file: PEM, the chain behind it. Each "
            "certificate needs a --tls-key. May be given several times: the name that a client "
            "asks for selects one. A file that changes is in use at the next handshake."
        ),
    )
    tls_keys: tuple[str, ...] = _of_tls(
        (),
        "--tls-key",
        unit="file",
        manual="The private key of the certificate, as PEM and not encrypted.",
    )
    tls_port: int = _of_tls(
        0,
        "--tls-port",
        unit="number",
        manual=(
            "Speak https on this port, and let --port redirect plain http there. 0 speaks https on "
            "--port, and no plain http."
        ),
        zero="none",
        minimum=0,
        maximum=65535,
    )
    tls_self_signed: bool = _of_tls(
        False,
        "--tls-self-signed",
        manual=(
            "Speak https with a certificate for this machine, made by epollo. It is signed by an "
            "authority of your own, which a browser has to be told once to trust; the first lines "
            "say where it is. Needs the extra: pip install 'epollo[tls]'."
        ),
    )
    tls_library: str = _of_tls(
        "openssl",
        "--tls-library",
        manual=(
            "What encrypts. rustls takes less of the processor for new "
            "connections and resumes no session. It needs the extra, pip install 'epollo[rustls]', "
            "and leaves to openssl what it cannot serve: keys of RSA, certificates of clients."
        ),
        choices=("openssl", "rustls"),
    )
    acme: str = _of_tls(
        "",
        "--acme",
        unit="email",
        manual=(
            "Obtain certificates for each --domain from Let's Encrypt, and renew them; the address is "
            "that of the account there. Needs --workers and the extra: pip install 'epollo[tls]'."
        ),
    )
    domains: tuple[str, ...] = _of_tls(
        (),
        "--domain",
        unit="name",
        manual="A name to obtain a certificate for. May be given several times.",
    )
    acme_directory: str = _of_tls(
        "production",
        "--acme-directory",
        unit="url",
        manual=(
            "The authority's URL: that of its directory, or production or staging of Let's Encrypt."
        ),
    )
    acme_ca: str = _of_tls(
        "",
        "--acme-ca",
        unit="file",
        manual="Trust these certificates, as PEM, when asking the authority, instead of the system's.",
    )
    acme_profile: str = _of_tls(
        "",
        "--acme-profile",
        unit="name",
        manual=(
            "Ask for certificates of this profile of the authority, for example shortlived: six "
            "days, from Let's Encrypt."
        ),
    )
    hsts_seconds: float = _of_tls(
        0.0,
        "--hsts",
        unit="seconds",
        manual=(
            "Tell browsers to use nothing but https for this host for this long, for example "
            "365d (Strict-Transport-Security). 0 tells them nothing."
        ),
        zero="off",
        minimum=0,
        maximum=10 * 366 * DAY_SECONDS,
    )
    has_proxy_protocol: bool = option(
        False,
        "--proxy-protocol",
        group="Behind a proxy",
        manual=(
            "Expect a PROXY header (version 1 or 2) at the start of every connection. Its address"
            " is logged and limited."
        ),
    )
    proxies: str = option(
        "127.0.0.0/8,::1",
        "--proxy-from",
        group="Behind a proxy",
        manual=(
            "Believe proxies at these addresses and networks only, for example 10.0.0.0/8,::1. "
            "With --proxy-protocol, a connection from another address is closed."
        ),
        unit="networks",
    )
    forwarded: str = option(
        "off",
        "--forwarded",
        group="Behind a proxy",
        manual=(
            "Which header of a proxy says the address of a client, for the log and for guesses of "
            "passwords. Choose the one that the proxy writes: clients can send the other."
        ),
        choices=("off", "x-forwarded-for", "forwarded"),
    )
