import pytest

from epollo.site.media_types import UNKNOWN, select_media_type


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
    assert select_media_type(name.encode()) == (value.encode(), is_compressible)


@pytest.mark.parametrize(
    "name",
    [b"", b"html", b"Makefile", b"page.", b"page.unheard", b"page.html.", b"\xff.\xff", b"."],
)
def test_an_unknown_type_is_octets(name: bytes) -> None:
    assert select_media_type(name) is UNKNOWN
    assert UNKNOWN.value == b"application/octet-stream"
