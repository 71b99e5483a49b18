"""The media types that we announce: our own table, the same on every machine.

Source: the IANA registry of media types, RFC 9239 for text/javascript, and what browsers demand
(a module script of any other type than JavaScript's is refused). What is not registered has the type by
which tools know it (Deno for TypeScript and JSX), source text that has none is text/plain.
"""

from collections.abc import Iterable

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.http.charset import UTF_8
from epollo.http.grammar import TOKEN
from epollo.http.media_type import has_charset, is_compressible, is_media_type
from epollo.named_tuples import NamedTuple

_TEXT: Final = {
    b"txt text log conf cfg ini properties env md5 sha1 sha256 sha512 asc diff patch srt": (
        b"text/plain"
    ),
    b"html htm shtml": b"text/html",
    b"css": b"text/css",
    b"js mjs cjs": b"text/javascript",
    b"ts mts cts": b"text/typescript",
    b"jsx": b"text/jsx",
    b"tsx": b"text/tsx",
    b"scss": b"text/x-scss",
    b"sass": b"text/x-sass",
    b"less": b"text/less",
    b"md markdown": b"text/markdown",
    b"mdx": b"text/mdx",
    b"csv": b"text/csv",
    b"tsv": b"text/tab-separated-values",
    b"xml xsl xsd": b"text/xml",
    b"vtt": b"text/vtt",
    b"ics": b"text/calendar",
    b"vcf": b"text/vcard",
    b"ttl": b"text/turtle",
    b"n3": b"text/n3",
    b"wgsl": b"text/wgsl",
    b"vue svelte astro jsonc json5 proto graphql gql glsl vert frag wat": b"text/plain",
    b"py pyi c h cpp hpp cc rs go java kt swift scala cs m rb pl lua r jl ex exs hs ml clj dart zig": (
        b"text/plain"
    ),
    b"sh bash zsh fish bat ps1 tex bib rst adoc org el vim": b"text/plain",
}

# Text by nature, with a charset of their own definition (RFC 8259 section 11, RFC 7303 section 9), and
# data that shrinks.
_COMPRESSIBLE: Final = {
    b"svg svgz": b"image/svg+xml",
    b"json map topojson": b"application/json",
    b"geojson": b"application/geo+json",
    b"jsonld": b"application/ld+json",
    b"jsonl ndjson": b"application/jsonl",
    b"ipynb": b"application/x-ipynb+json",
    b"har": b"application/json",
    b"webmanifest": b"application/manifest+json",
    b"importmap": b"application/importmap+json",
    b"yaml yml": b"application/yaml",
    b"toml": b"application/toml",
    b"sql": b"application/sql",
    b"rss": b"application/rss+xml",
    b"atom": b"application/atom+xml",
    b"xhtml xht": b"application/xhtml+xml",
    b"xslt": b"application/xslt+xml",
    b"dtd": b"application/xml-dtd",
    b"rdf owl": b"application/rdf+xml",
    b"nt": b"application/n-triples",
    b"nq": b"application/n-quads",
    b"mml": b"application/mathml+xml",
    b"ncx": b"application/x-dtbncx+xml",
    b"opf": b"application/oebps-package+xml",
    b"plist": b"application/x-plist",
    b"opml": b"text/x-opml",
    b"gpx": b"application/gpx+xml",
    b"kml": b"application/vnd.google-earth.kml+xml",
    b"m3u8": b"application/vnd.apple.mpegurl",
    b"mpd": b"application/dash+xml",
    b"wasm": b"application/wasm",
    b"data pck mem": b"application/octet-stream",
    b"sqlite sqlite3": b"application/vnd.sqlite3",
    b"arrow": b"application/vnd.apache.arrow.file",
    b"arrows": b"application/vnd.apache.arrow.stream",
    b"ttf": b"font/ttf",
    b"otf": b"font/otf",
    b"ttc": b"font/collection",
    b"eot": b"application/vnd.ms-fontobject",
    b"ico cur": b"image/vnd.microsoft.icon",
    b"bmp": b"image/bmp",
    b"psd": b"image/vnd.adobe.photoshop",
    b"tar": b"application/x-tar",
    b"rtf": b"application/rtf",
    b"ps eps ai": b"application/postscript",
    b"gltf": b"model/gltf+json",
    b"glb": b"model/gltf-binary",
    b"stl": b"model/stl",
    b"obj": b"model/obj",
    b"mtl": b"model/mtl",
    b"step stp": b"model/step",
    b"dae": b"model/vnd.collada+xml",
    b"usda": b"model/vnd.usda",
}

_COMPRESSED: Final = {
    b"png": b"image/png",
    b"apng": b"image/apng",
    b"jpg jpeg jfif": b"image/jpeg",
    b"gif": b"image/gif",
    b"webp": b"image/webp",
    b"avif avifs": b"image/avif",
    b"jxl": b"image/jxl",
    b"heic": b"image/heic",
    b"heif": b"image/heif",
    b"jp2": b"image/jp2",
    b"tif tiff": b"image/tiff",
    b"ktx2": b"image/ktx2",
    b"woff": b"font/woff",
    b"woff2": b"font/woff2",
    b"mp4 m4v cmfv": b"video/mp4",
    b"m4s": b"video/iso.segment",
    b"webm": b"video/webm",
    b"ogv": b"video/ogg",
    b"mov": b"video/quicktime",
    b"mkv": b"video/matroska",
    b"mpg mpeg": b"video/mpeg",
    b"avi": b"video/x-msvideo",
    b"3gp": b"video/3gpp",
    b"m2ts": b"video/mp2t",
    b"mp3": b"audio/mpeg",
    b"m4a m4b cmfa": b"audio/mp4",
    b"aac": b"audio/aac",
    b"ogg oga": b"audio/ogg",
    b"opus": b"audio/ogg",
    b"flac": b"audio/flac",
    b"wav": b"audio/wav",
    b"weba": b"audio/webm",
    b"mid midi": b"audio/midi",
    b"usdz": b"model/vnd.usdz+zip",
    b"3mf": b"model/3mf",
    b"pdf": b"application/pdf",
    b"zip": b"application/zip",
    b"gz tgz": b"application/gzip",
    b"zst": b"application/zstd",
    b"br": b"application/x-brotli",
    b"bz2": b"application/x-bzip2",
    b"xz": b"application/x-xz",
    b"7z": b"application/x-7z-compressed",
    b"rar": b"application/vnd.rar",
    b"parquet": b"application/vnd.apache.parquet",
    b"jar": b"application/java-archive",
    b"epub": b"application/epub+zip",
    b"kmz": b"application/vnd.google-earth.kmz",
    b"docx": b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xlsx": b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"pptx": b"application/vnd.openxmlformats-officedocument.presentationml.presentation",
    b"odt": b"application/vnd.oasis.opendocument.text",
    b"ods": b"application/vnd.oasis.opendocument.spreadsheet",
    b"odp": b"application/vnd.oasis.opendocument.presentation",
    b"doc": b"application/msword",
    b"xls": b"application/vnd.ms-excel",
    b"ppt": b"application/vnd.ms-powerpoint",
    b"apk": b"application/vnd.android.package-archive",
    b"deb": b"application/vnd.debian.binary-package",
    b"rpm": b"application/x-rpm",
    b"dmg": b"application/x-apple-diskimage",
    b"xpi": b"application/x-xpinstall",
    b"exe dll": b"application/vnd.microsoft.portable-executable",
    b"torrent": b"application/x-bittorrent",
    b"pem": b"application/x-pem-file",
    b"crt cer der": b"application/pkix-cert",
    b"crl": b"application/pkix-crl",
    b"iso": b"application/vnd.efi.iso",
}


class MediaType(NamedTuple):
    """A value of Content-Type, and whether content of this type shrinks when it is compressed.

    ``charset`` is the parameter of text that is no UTF-8 and names no other encoding; empty for none.
    """

    value: bytes
    is_compressible: bool
    charset: bytes = b""


UNKNOWN: Final = MediaType(b"application/octet-stream", is_compressible=False)
"""What nothing more is known about (RFC 9110 section 8.3)."""

_BY_EXTENSION: Final = {
    extension: MediaType(value, is_compressible)
    for table, suffix, is_compressible in (
        (_TEXT, UTF_8, True),
        (_COMPRESSIBLE, b"", True),
        (_COMPRESSED, b"", False),
    )
    for extensions, value in ((key, value + suffix) for key, value in table.items())
    for extension in extensions.split()
}

SVG: Final = _BY_EXTENSION[b"svg"]
TYPESCRIPT: Final = _BY_EXTENSION[b"ts"]
TRANSPORT_STREAM: Final = _BY_EXTENSION[b"m2ts"]


def announce_utf8(media_type: MediaType) -> MediaType:
    """Return the media type of text that was found to be UTF-8."""
    return media_type._replace(value=media_type.value + UTF_8)


class MediaTypes:
    """The media types of a site: ours, and what its operator decided otherwise.

    ``own`` is by extension, in lower case; ``default`` is that of a name whose extension is not known, or
    that has none; ``charset`` is that of text that is no UTF-8.
    """

    def __init__(
        self,
        own: Iterable[tuple[bytes, bytes]] = (),
        default: bytes = b"",
        charset: bytes = b"",
    ) -> None:
        self._parameter = b"; charset=" + charset if charset else b""
        self._by_extension = dict(_BY_EXTENSION)
        if charset:
            for extension, media_type in _BY_EXTENSION.items():
                if media_type.value.endswith(UTF_8):
                    self._by_extension[extension] = media_type._replace(charset=self._parameter)
        for extension, value in own:
            self._by_extension[extension] = self._make(value)
        self._default = self._make(default) if default else UNKNOWN

    def select(self, name: bytes) -> MediaType:
        """Return the media type of a file by the extension of its name, whatever its case.

        Text is taken for UTF-8; what the content says besides is for `inspection` to find.
        """
        _, dot, extension = name.rpartition(b".")
        return self._by_extension.get(extension.lower(), self._default) if dot else self._default

    def _make(self, value: bytes) -> MediaType:
        kind = value.partition(b";")[0].strip().lower()
        known = _BY_TYPE.get(kind)
        shrinks = is_compressible(value) if known is None else known
        if kind.startswith(b"text/") and not has_charset(value):
            return MediaType(value + UTF_8, shrinks, self._parameter)
        return MediaType(value, shrinks)


_BY_TYPE: Final = {
    media_type.value.removesuffix(UTF_8): media_type.is_compressible
    for media_type in _BY_EXTENSION.values()
}
OURS: Final = MediaTypes()
select_media_type: Final = OURS.select
"""The choice for a site whose operator decided nothing."""


def parse_media_types(words: Iterable[str], default: str, charset: str) -> MediaTypes:
    """Return the media types of a site, of words such as ``foo=application/x-foo``.

    ``default`` and ``charset`` may be empty. Raises `OperatorError`, with the setting, for a mistake.
    """
    own = []
    for word in words:
        extension, equals, value = word.partition("=")
        extension = extension.strip().removeprefix(".").lower()
        if not equals or not extension or set(extension) & set("./"):
            raise OperatorError(
                f"{word!r} is no extension and media type, such as foo=application/x-foo",
                "media_types",
            )
        own.append((extension.encode(errors="surrogateescape"), _read(value, "media_types")))
    if charset and (not charset.isascii() or TOKEN.fullmatch(charset.encode()) is None):
        raise OperatorError(f"{charset!r} is no charset, such as iso-8859-1", "charset")
    return MediaTypes(
        own, _read(default, "default_type") if default else b"", charset.lower().encode()
    )


def _read(text: str, setting: str) -> bytes:
    value = text.strip().encode(errors="replace")
    if not text.isascii() or not is_media_type(value):
        raise OperatorError(
            f"{text.strip()!r} is no media type, such as application/x-foo", setting
        )
    return value
