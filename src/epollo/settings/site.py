"""What an operator decides of each site: its folder, what its paths lead to, what browsers may do.

A settings file says these for each ``[[site]]``; all other settings are the same for all sites.
"""

from os import PathLike

from epollo.quantities import MEBIBYTE
from epollo.settings.option import option
from epollo.settings.record import Record


class SiteSettings(Record):
    """The settings of one site."""

    root: str | PathLike[str] = option(
        ".",
        "-d",
        "--directory",
        group="Serving",
        unit="folder",
        manual="The folder to serve, for example /srv/site.",
    )
    follow_links: str = option(
        "",
        "--follow-links",
        group="Serving",
        unit="folders",
        manual=(
            "Follow symbolic links that lead into these folders, for example /nix/store,/srv/data. "
            "A link that leads anywhere else outside the served folder is 404."
        ),
    )
    allow_hidden: str = option(
        "",
        "--allow-hidden",
        group="Serving",
        unit="patterns",
        manual=(
            "Serve files and folders whose names begin with a dot and match one of these patterns, "
            "for example .zgroup,.zattrs,.zarray. Otherwise they are 404."
        ),
    )
    clean_urls: bool = option(
        True,
        "--clean-urls/--no-clean-urls",
        group="Serving",
        manual="Let /about find about.html.",
    )
    spa: bool = option(
        False,
        "--spa",
        group="Serving",
        manual=(
            "Send the index.html of the served folder to a browser that navigates to a page which is "
            "not there, as single-page apps need. A script or picture that is not there is still 404."
        ),
    )
    listing: str = option(
        "auto",
        "--listing",
        group="Serving",
        manual=(
            "Show what a folder without index.html holds. auto does so unless the served folder has "
            "an index.html, which makes it a site; off answers 404."
        ),
        choices=("auto", "on", "off"),
    )
    media_types: tuple[str, ...] = option(
        (),
        "--media-type",
        group="Serving",
        unit="extension=type",
        manual=(
            "Send files with this extension as this media type, for example "
            "foo=application/x-foo. May be given several times."
        ),
    )
    default_type: str = option(
        "",
        "--default-type",
        group="Serving",
        unit="type",
        manual=(
            "Send files of an unknown extension as this media type, for example text/plain; "
            "without it, as application/octet-stream."
        ),
    )
    charset: str = option(
        "",
        "--charset",
        group="Serving",
        unit="name",
        manual=(
            "The charset of text that is not UTF-8 and does not name another, for example iso-8859-1; "
            "without it, browsers guess."
        ),
    )
    auth: str = option(
        "",
        "--auth",
        group="Access",
        unit="file",
        manual=(
            "Ask for a user and a password of this file, for example /etc/epollo.htpasswd, which "
            "htpasswd -B -c FILE USER writes. A change of it holds from the next request on."
        ),
    )
    auth_paths: str = option(
        "/",
        "--auth-paths",
        group="Access",
        unit="paths",
        manual="Ask for a password at and below these paths only, for example /private,/drafts.",
    )
    tls_client_ca: str = option(
        "",
        "--tls-client-ca",
        group="TLS",
        unit="file",
        manual=(
            "Ask each client for a certificate of an authority in this file, and log whose it is. The "
            "file is PEM; lists of revoked certificates may stand there too. One that changes is in use "
            "at the next handshake."
        ),
    )
    tls_client_auth: str = option(
        "require",
        "--tls-client-auth",
        group="TLS",
        manual=(
            "What happens to a client that has no certificate: require refuses it, optional serves "
            "it. A certificate that is not right is refused by both."
        ),
        choices=("require", "optional"),
    )
    cors: str = option(
        "",
        "--cors",
        group="Access",
        unit="origins",
        manual=(
            "Let scripts of other sites read the answers: any, or a list of origins, for example "
            "https://example.com,http://localhost:5173."
        ),
    )
    isolate: bool = option(
        False,
        "--isolate",
        group="Access",
        manual=(
            "Isolate the pages from other sites (COOP and COEP), as threads in WebAssembly need it. "
            "Pages then have SharedArrayBuffer."
        ),
    )
    kept_octets_limit: int = option(
        MEBIBYTE,
        "--keep-size",
        group="Caching and compression",
        manual=("Keep files up to this size in memory. Longer files are read while they are sent."),
        minimum=0,
        unit="octets",
    )
    compress: bool = option(
        True,
        "--compress/--no-compress",
        group="Caching and compression",
        manual=(
            "Send text compressed (br, zstd, gzip). It is compressed once per version of a file, "
            "in the background."
        ),
    )
    cache_control: str = option(
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
