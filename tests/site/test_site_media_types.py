import pytest

from epollo.errors import OperatorError
from epollo.site.media_types import OURS, UNKNOWN, parse_media_types


@pytest.mark.parametrize(
    ("name", "value", "is_compressible"),
    [
        ("index.html", "text/html; charset=utf-8", True),
        ("INDEX.HTM", "text/html; charset=utf-8", True),
        ("site.css", "text/css; charset=utf-8", True),
        ("app.js", "text/javascript; charset=utf-8", True),
        ("module.mjs", "text/javascript; charset=utf-8", True),
        ("Module.MJS", "text/javascript; charset=utf-8", True),
        ("robots.txt", "text/plain; charset=utf-8", True),
        ("readme.md", "text/markdown; charset=utf-8", True),
        ("table.csv", "text/csv; charset=utf-8", True),
        ("feed.xml", "text/xml; charset=utf-8", True),
        ("track.vtt", "text/vtt; charset=utf-8", True),
        ("data.json", "application/json", True),
        ("app.js.map", "application/json", True),
        ("app.webmanifest", "application/manifest+json", True),
        ("logo.svg", "image/svg+xml", True),
        ("module.wasm", "application/wasm", True),
        ("font.ttf", "font/ttf", True),
        ("font.woff2", "font/woff2", False),
        ("font.woff", "font/woff", False),
        ("photo.avif", "image/avif", False),
        ("photo.webp", "image/webp", False),
        ("photo.JPG", "image/jpeg", False),
        ("photo.png", "image/png", False),
        ("film.mp4", "video/mp4", False),
        ("film.webm", "video/webm", False),
        ("paper.pdf", "application/pdf", False),
        ("archive.tar.gz", "application/gzip", False),
        ("archive.zip", "application/zip", False),
        ("logo.svgz", "image/svg+xml", True),
        ("app.ts", "text/typescript; charset=utf-8", True),
        ("app.mts", "text/typescript; charset=utf-8", True),
        ("app.cts", "text/typescript; charset=utf-8", True),
        ("types.d.ts", "text/typescript; charset=utf-8", True),
        ("app.jsx", "text/jsx; charset=utf-8", True),
        ("app.tsx", "text/tsx; charset=utf-8", True),
        ("app.cjs", "text/javascript; charset=utf-8", True),
        ("app.vue", "text/plain; charset=utf-8", True),
        ("site.scss", "text/x-scss; charset=utf-8", True),
        ("shader.wgsl", "text/wgsl; charset=utf-8", True),
        ("map.geojson", "application/geo+json", True),
        ("rows.ndjson", "application/jsonl", True),
        ("book.ipynb", "application/x-ipynb+json", True),
        ("compose.yaml", "application/yaml", True),
        ("Cargo.toml", "application/toml", True),
        ("list.m3u8", "application/vnd.apple.mpegurl", True),
        ("film.mpd", "application/dash+xml", True),
        ("game.data", "application/octet-stream", True),
        ("game.pck", "application/octet-stream", True),
        ("scene.gltf", "model/gltf+json", True),
        ("scene.glb", "model/gltf-binary", True),
        ("scene.usdz", "model/vnd.usdz+zip", False),
        ("rows.parquet", "application/vnd.apache.parquet", False),
        ("film.m2ts", "video/mp2t", False),
        ("film.m4s", "video/iso.segment", False),
        ("photo.jxl", "image/jxl", False),
        ("book.epub", "application/epub+zip", False),
        ("app.apk", "application/vnd.android.package-archive", False),
    ],
)
def test_type_of_name(name: str, value: str, is_compressible: bool) -> None:
    assert OURS.select(name.encode()) == (value.encode(), is_compressible, b"")


@pytest.mark.parametrize(
    "name",
    [b"", b"html", b"Makefile", b"page.", b"page.unheard", b"page.html.", b"\xff.\xff", b"."],
)
def test_an_unknown_type_is_octets(name: bytes) -> None:
    assert OURS.select(name) is UNKNOWN
    assert UNKNOWN.value == b"application/octet-stream"


def test_an_operator_has_media_types_of_its_own() -> None:
    types = parse_media_types(
        (
            "foo=application/x-foo",
            ".BAR=text/x-bar",
            "txt = text/plain; charset=iso-8859-1",
            "js=application/javascript",
            "zip=application/x-zip",
            "geo=application/geo+json",
        ),
        "text/plain",
        "ISO-8859-1",
    )
    utf_8, charset = b"; charset=utf-8", b"; charset=iso-8859-1"
    for name, expected in {
        b"a.foo": (b"application/x-foo", False, b""),
        b"a.FOO": (b"application/x-foo", False, b""),
        b"a.bar": (b"text/x-bar" + utf_8, True, charset),
        b"a.txt": (b"text/plain" + charset, True, b""),
        b"a.js": (b"application/javascript", True, b""),
        b"a.zip": (b"application/x-zip", False, b""),
        b"a.geo": (b"application/geo+json", True, b""),
        b"a.html": (b"text/html" + utf_8, True, charset),
        b"a.png": (b"image/png", False, b""),
        b"a.unknown": (b"text/plain" + utf_8, True, charset),
        b"README": (b"text/plain" + utf_8, True, charset),
    }.items():
        assert types.select(name) == expected, name


def test_without_settings_the_types_are_ours() -> None:
    types = parse_media_types((), "", "")
    for name in (b"a.html", b"a.ts", b"a.unknown", b"README", b"a.png"):
        assert types.select(name) == OURS.select(name)


@pytest.mark.parametrize(
    ("words", "default", "charset", "setting"),
    [
        (("foo",), "", "", "media_types"),
        (("=text/plain",), "", "", "media_types"),
        (("a.b=text/plain",), "", "", "media_types"),
        (("a/b=text/plain",), "", "", "media_types"),
        (("foo=text",), "", "", "media_types"),
        (("foo=text/plain\r\nX: y",), "", "", "media_types"),
        (("foo=text/pläin",), "", "", "media_types"),
        ((), "text/", "", "default_type"),
        ((), "", "utf 8", "charset"),
        ((), "", "ü", "charset"),
    ],
)
def test_a_mistake_names_its_setting(
    words: tuple[str, ...], default: str, charset: str, setting: str
) -> None:
    with pytest.raises(OperatorError) as mistake:
        parse_media_types(words, default, charset)
    assert mistake.value.setting == setting
