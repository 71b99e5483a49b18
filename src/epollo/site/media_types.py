"""The media types that we announce: our own table, the same on every machine.

Source: the IANA registry of media types, RFC 9239 for text/javascript, and what browsers demand
(a module script of any other type than JavaScript's is refused).
"""

from typing import Final, NamedTuple

_TEXT: Final = {
    b"txt text log conf ini md5 sha256 sha512 asc": b"text/plain",
    b"html htm": b"text/html",
    b"css": b"text/css",
    b"js mjs cjs": b"text/javascript",
    b"md markdown": b"text/markdown",
    b"csv": b"text/csv",
    b"tsv": b"text/tab-separated-values",
    b"xml xsl xsd": b"text/xml",
    b"vtt": b"text/vtt",
    b"ics": b"text/calendar",
    b"vcf": b"text/vcard",
    b"py c h cpp rs go sh toml yaml yml tex rst srt": b"text/plain",
}

# Text by nature, with a charset of their own definition (RFC 8259 section 11, RFC 7303 section 9).
_COMPRESSIBLE: Final = {
    b"svg": b"image/svg+xml",
    b"json map geojson": b"application/json",
    b"jsonld": b"application/ld+json",
    b"jsonl ndjson": b"application/jsonl",
    b"webmanifest": b"application/manifest+json",
    b"rss": b"application/rss+xml",
    b"atom": b"application/atom+xml",
    b"xhtml": b"application/xhtml+xml",
    b"gpx": b"application/gpx+xml",
    b"kml": b"application/vnd.google-earth.kml+xml",
    b"gltf": b"model/gltf+json",
    b"wasm": b"application/wasm",
    b"ttf": b"font/ttf",
    b"otf": b"font/otf",
    b"eot": b"application/vnd.ms-fontobject",
    b"ico": b"image/vnd.microsoft.icon",
    b"bmp": b"image/bmp",
    b"tar": b"application/x-tar",
    b"rtf": b"application/rtf",
    b"ps eps ai": b"application/postscript",
    b"glb": b"model/gltf-binary",
    b"stl": b"model/stl",
}

_COMPRESSED: Final = {
    b"png": b"image/png",
    b"apng": b"image/apng",
    b"jpg jpeg jfif": b"image/jpeg",
    b"gif": b"image/gif",
    b"webp": b"image/webp",
    b"avif": b"image/avif",
    b"jxl": b"image/jxl",
    b"heic": b"image/heic",
    b"tif tiff": b"image/tiff",
    b"woff": b"font/woff",
    b"woff2": b"font/woff2",
    b"mp4 m4v": b"video/mp4",
    b"webm": b"video/webm",
    b"ogv": b"video/ogg",
    b"mov": b"video/quicktime",
    b"mkv": b"video/matroska",
    b"mp3": b"audio/mpeg",
    b"m4a": b"audio/mp4",
    b"aac": b"audio/aac",
    b"ogg oga": b"audio/ogg",
    b"opus": b"audio/ogg",
    b"flac": b"audio/flac",
    b"wav": b"audio/wav",
    b"weba": b"audio/webm",
    b"m3u8": b"application/vnd.apple.mpegurl",
    b"mpd": b"application/dash+xml",
    b"ts": b"video/mp2t",
    b"pdf": b"application/pdf",
    b"zip": b"application/zip",
    b"gz tgz": b"application/gzip",
    b"zst": b"application/zstd",
    b"br": b"application/x-brotli",
    b"bz2": b"application/x-bzip2",
    b"xz": b"application/x-xz",
    b"7z": b"application/x-7z-compressed",
    b"rar": b"application/vnd.rar",
    b"jar": b"application/java-archive",
    b"epub": b"application/epub+zip",
    b"docx": b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xlsx": b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"pptx": b"application/vnd.openxmlformats-officedocument.presentationml.presentation",
    b"odt": b"application/vnd.oasis.opendocument.text",
    b"ods": b"application/vnd.oasis.opendocument.spreadsheet",
    b"doc": b"application/msword",
    b"xls": b"application/vnd.ms-excel",
    b"ppt": b"application/vnd.ms-powerpoint",
    b"apk": b"application/vnd.android.package-archive",
    b"deb": b"application/vnd.debian.binary-package",
    b"iso": b"application/vnd.efi.iso",
}


class MediaType(NamedTuple):
    """A value of Content-Type, and whether content of this type shrinks when it is compressed."""

    value: bytes
    is_compressible: bool


UNKNOWN: Final = MediaType(b"application/octet-stream", is_compressible=False)
"""What no one can say more about (RFC 9110 section 8.3)."""

_BY_EXTENSION: Final = {
    extension: MediaType(value, is_compressible)
    for table, suffix, is_compressible in (
        (_TEXT, b"; charset=utf-8", True),
        (_COMPRESSIBLE, b"", True),
        (_COMPRESSED, b"", False),
    )
    for extensions, value in ((key, value + suffix) for key, value in table.items())
    for extension in extensions.split()
}


def select_media_type(name: bytes) -> MediaType:
    """Return the media type of a file by the extension of its name, whatever its case."""
    _, dot, extension = name.rpartition(b".")
    return _BY_EXTENSION.get(extension.lower(), UNKNOWN) if dot else UNKNOWN
