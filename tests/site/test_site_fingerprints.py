"""Names that carry a fingerprint of their content, beside names that only look as if they did."""

import base64
import hashlib
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.site.fingerprints import has_fingerprint
from epollo.site.media_types import OURS

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA384 = hashlib.sha384(b"").hexdigest()
SHA512 = hashlib.sha512(b"").hexdigest()

TRUE_NAMES = {
    "Vite 5, Rollup 4": """
        index-BfH3xk2d.js index-DRf8L97S.css shared-B7PI925R.js foo-BRBmoGS9.js bar-gkvgaI9m.js
        baz-B2H3sXNv.js foo-5UjPuW-k.css vendor-Cx7_9aBz.js logo-B8Rxq_1Z.svg index-legacy-D3kf9QzT.js
        index-BfH3xk2d.js.map inter-latin-400-normal-C38fXH4l.woff2 worker-9Qw_2-rT.mjs Dq6Xkfzt.js
        index-Dq6Xkfzt.js my.module-CmXhRt4Q.js hero-C4u7vP0b.avif film-Bx91tYqL.webm parser-D8s2KfV0.wasm
    """,
    "Vite 4, Rollup 3": """
        index-4889e940.js index-b82dbe22.css asset-0ab0f9cd.png vendor-3d2ae1c7.mjs
    """,
    "Vite 2 and 3": """
        main.4889e940.js main.b82dbe22.css asset.0ab0f9cd.png foo.869aea0d.js shared.83069a53.js
    """,
    "webpack": """
        main.7e2c49a622975ebd9b7e.js runtime.cc17ae2a94ec771e9221.js vendors.a42c3ca0d742766d7a28.js
        151cfcfa1bd74779aadb.png main.8f9b6e2a.js main.8f9b6e2a.js.map main.8f9b6e2a.css
        main.8f9b6e2a.css.map vendors~main.8f9b6e2a.chunk.js 2.5b0d93cf.chunk.js 2.5b0d93cf.chunk.css
        0.bundle.4f0a1c2e9b.js 787.3b5d1f0c7a9e.js runtime~main.a8a9905a.js main.abcd1234.js
        logo.6ce24c58023cc2f8fd88.svg 3f5c1c0c9a7b2d4e6f80.module.wasm app.min.1f2e3d4c.js
        app.1f2e3d4c.min.js
    """,
    "Create React App": f"""
        main.a617e044.chunk.css logo.6ce24c58.svg logo.{MD5}.svg 787.28cb0dcd.chunk.js
    """,
    "Vue CLI": """
        chunk-vendors.3c2b1f0e.js app.0d1c2b3a.css logo.82b9c7a5.png fontello.8d4a4e6f.woff2
    """,
    "Rspack, Rsbuild": """
        index.2a4f6c8e.js lib-react.5c9a1b3d.js index.7d0e4f2c.css async.91.0f3c7ab2.js
    """,
    "Storybook": """
        main.4f8a2b1c.iframe.bundle.js 7.0c1d2e3f.iframe.bundle.js
        runtime~main.9e8d7c6b.iframe.bundle.js
    """,
    "esbuild": """
        image-CQFGD2NG.png index-4QTUNIID.js chunk-E4SHFKVH.js example-VBL6PVPN.png app-IDGLLKN2.js
        main-3GKSJ7HW.css app-PKQMU7IA.js.map
    """,
    "Angular": """
        main-5QIRD7BE.js polyfills-B6TNHZQ6.js styles-5INURTSO.css chunk-2XJVAMHT.js
        main.3b4c5d6e7f8a9b0c.js
    """,
    "Parcel": """
        index.178894d8.css index.c2dc1f85.js logo.4f32dfb3.svg appIcon512.7666cacc.png
        src.e31bb0bc.js
    """,
    "Hugo": f"""
        main.{MD5}.js main.{SHA256}.css style.min.{SHA256}.css app.{SHA384}.js app.{SHA512}.js
    """,
    "Django": """
        base.27e20196a850.css admin.f0e1d2c3b4a5.js logo.4c1f9e0d7b2a.png jquery.min.81fa3bd2c9e1.js
        OpenSans-Regular.5a6b7c8d9e0f.woff2
    """,
    "Sprockets": f"""
        application-{MD5}.js application-{SHA256}.css application.self-{SHA256}.js jquery.min-{SHA256}.js
        logo-{SHA256}.png
    """,
    "Propshaft": "application-bfcdf840.js styles-6b0e1f2d.css logo-2c0a9e7b.svg",
    "Phoenix": f"app-{MD5}.js app-{MD5}.css",
    "gulp-rev": "unicorn-d41d8cd98f.css app-0a1b2c3d4e.js",
    "Gatsby": "app-1a2b3c4d5e6f7a8b9c0d.js component---src-pages-index-js-9f8e7d6c5b4a3f2e1d0c.js",
    "Next.js": """
        main-app-7c8b1a3d2e4f5a6b.js webpack-0f9e8d7c6b5a4f3e.js _app-1b2c3d4e5f6a7b8c.js
        framework-aec844d2ccbe7592.js 117-883c53d2a4ab4afa.js 3f2a1b4c5d6e7f80.css
        a34f9d1faa5f3315-s.p.woff2 e4af272ccee01ff0-s.woff2 hero.1f2e3d4c.png
    """,
    "Astro": """
        index.DRf8L97S.js hoisted.C5mN0pQr.js hero.CqsH2fzn_Z1QbYxP.webp hero.3f2c1b0a_Z2abcd.webp
    """,
    "SvelteKit": """
        start.B2c9aXyz.js app.DkX9fQ2r.js 0.C7d8e9Fg.js 0.B1c2d3E4.css B2c9aXyz.js Dx4T_k9b.js
    """,
    "Nuxt": "entry.4c3d2b1a.js entry.BcdE3fGh.css DkX9fQ2r.js BcdE3fGh.js index.C7d8e9Fg.css",
    "VitePress": """
        app.B2c9aXyz.js index.md.DkX9fQ2r.js index.md.DkX9fQ2r.lean.js style.C7d8e9Fg.css
    """,
    "Remix": "root-DkX9fQ2r.js entry.client-B2c9aXyz.js manifest-4c3d2b1a.js",
    "Docusaurus": f"main.0a7c3f9e.js styles.5e6f7a8b.css 17896441.1a2b3c4d.js logo-{MD5}.svg",
    "MkDocs Material": """
        main.8fd75fb4.min.css bundle.fe8b6f2b.min.js search.b8dbb3d2.min.js
        main.8fd75fb4.min.css.map
    """,
    "Trunk": "app-3f2a1b4c5d6e7f80.js app-3f2a1b4c5d6e7f80_bg.wasm",
    "Expo": f"index-{MD5}.js entry-{MD5}.js",
    "other types": """
        font.8f9b6e2a.ttf font.8f9b6e2a.otf font.8f9b6e2a.woff font.8f9b6e2a.eot icon.8f9b6e2a.ico
        picture.8f9b6e2a.jpg picture.8f9b6e2a.gif picture.8f9b6e2a.webp picture.8f9b6e2a.jxl
        song.8f9b6e2a.mp3 song.8f9b6e2a.ogg film.8f9b6e2a.mp4 worker.8f9b6e2a.cjs UPPER.8f9b6e2a.PNG
    """,
}  # fmt: skip

LOOKALIKES = {
    "no token": """
        index.js style.css site.min.js app.bundle.js a.js x.png favicon.ico robots.png logo.svg
        main.js.map jquery.min.js react.production.min.js chunk-vendors.js runtime~main.js sw.js
        service-worker.js workbox-sw.js main.css.map
    """,
    "words": """
        main-component.js style-responsive.css logo-facebook.svg icon-linkedin.svg app-dashboard.js
        photo-deadbeef.jpg photo.deadbeef.jpg photo.effaced.jpg page-DarkMode.css icon-GitHubCo.svg
        font-Semibold.woff2 theme-Midnight.css font-awesome.css my-HomePage.png a-README12.png
        bg-abcdefgh.png NotoSans-SemiBold.ttf Windows8.png DarkMode.css app-FRAMEWRK.js
    """,
    "words with a number": """
        logo-Windows8.png photo-iPhone15.jpg photo-iPhone12.jpg icon-iPad2Air.png logo-iOS17Pro.svg
        shot-Chapter1.png shot-CHAPTER2.png bg-SECTION3.png icon-FIREFOX3.svg item-Product7.png
        tab-HTML5CSS.svg logo-Html5Css.svg icon-Mp4ToGif.svg icon-Row1Col2.png pic-Day1Day2.png
        logo-Web2Site.svg page-Section2.js top-Top5List.png model-3DMODELS.png app-Version2.js
        app-section2.js app-chapter1.js level-Level001.png photo-cafe2024.jpg photo.facade99.jpg
        room.decade80.jpg chart-v2Beta10.js theme-Top10-V2.css the-10-items.png x-Base64Js.js
        icon-Win32Dll.png lib-Sha256Js.js
    """,
    "dates": """
        photo-20231001.jpg photo.20231001.jpg photo-2023-10-01.jpg photo.2023-10-01.png
        report-20231001.svg 20231001_123456.jpg 20231001.jpg photo.20231001123456.jpg
        shot-01Jan2023.png shot-Jan-2023.png shot-12Jan23a.png shot-1stApr24.png photo.1dec2023.jpg
        photo.2023dec1.jpg photo-01feb2024.jpg photo-2023Q4v2.png photo.20231001a.jpg
        shot-2024Q1Ab.png photo.dec12023.jpg photo-24Dec31a.jpg app.1700000000000.js app-1700000000.js
        photo.20240115a1.png photo.a20240115b.png scan.202401a1b2.png
    """,
    "cameras and telephones": """
        IMG_1234.JPG IMG_20231001_123456.jpg IMG-20231001-WA0001.jpg DSC01234.JPG DSC_0123.jpg
        DSCN1234.JPG DSCF1234.jpg _DSC1234.jpg P1010234.JPG PXL_20230101_123456789.jpg
        PXL_20230101_123456789.MP.jpg MVI_1234.MOV GOPR0123.MP4 GX010123.MP4 GH010123.MP4 DJI_0123.jpg
        _MG_1234.jpg 100_1234.jpg R0001234.jpg L1000123.jpg A001C002.mov film-A001C002.mov
        photo-DSC01234.jpg photo-IMG_1234.jpg photo-P1010234.jpg photo-DSCN1234.jpg photo.DSCF1234.jpg
        VID_20231001_123456.mp4 VID-20231001-WA0012.mp4 Screenshot_20231001-123456.png IMGP1234.jpg
        signal-2023-10-01-12-34-56-789.jpg show-S01E02V2.mp4 show-S2021E05.mp4 YDXJ0123.MP4
    """,
    "versions": """
        jquery-3.7.1.min.js jquery-3.7.1.js app-v10.js app.v10.js lib.1.2.3.js lib-1.2.3-beta.4.js
        bootstrap-5.3.0-alpha1.css d3.v7.min.js three.r150.js es2015.js polyfills-es2015.js
        leaflet-1.9.4.css roboto-v30-latin-regular.woff2 inter-latin-400-normal.woff2 fa-solid-900.woff2
        app-1.10.100.js app-10000000.js app.12345678.js app-12345678.js lib-v1234567.js
    """,
    "sizes": """
        banner-1920x1080.png banner-1280x720.png banner-1280X720.png icon-1024x768.png icon-512x512.png
        icon@2x.png icon-128x128@2x.png logo-20x30x40.svg film-1080p60f.mp4 film.1080p.mp4
    """,
    "identifiers": f"""
        550e8400-e29b-41d4-a716-446655440000.png photo-550e8400-e29b-41d4-a716-446655440abc.png
        550e8400e29b41d4a716446655440000.png {MD5}.jpg {SHA256}.png 507f1f77bcf86cd799439011.png
        dQw4w9WgXcQ.mp4 film-dQw4w9WgXcQ.mp4 KFOmCnqEu92Fr1Mu4mxK.woff2 8f9b6e2a.png
        V1StGXR8.png dQw4w9Wg.mp4 1a2b3c4d5e6f7a8b.jpg photo-1506744038136-46273834b3fb.jpg
        app-da39a3ee5e6b4b0d3255bfef95601890afd80709.js app-1a2b3c4.js app.1a2b3c4.js
    """,
    "too short, too long, another alphabet": f"""
        app.1a2b.js app-1a2b3c.js app.1a2b3c4d5e6f7a8b9c0d1.js app-1a2b3c4d5.js app-1a2b3c4d5e6f.js
        app.8F9B6E2.js app_8f9b6e2a.js app8f9b6e2a.js app-8f9b6e2g.js app.8f9b6e2a5.test.js
        main.8f9b6e2a.hot-update.js app.{SHA256}0.js app-DRf8L97.js app-DRf8L97SS.js app~DRf8L97S.js
    """,
    "types that are not kept": f"""
        index.8f9b6e2a.html index-DRf8L97S.htm index-DRf8L97S.xhtml data.8f9b6e2a.json
        site.8f9b6e2a.webmanifest feed.8f9b6e2a.xml paper-DRf8L97S.pdf notes.8f9b6e2a.txt
        archive.8f9b6e2a.zip main.8f9b6e2a.js.LICENSE.txt app.8f9b6e2a.js.gz app.8f9b6e2a.js.br
        list.8f9b6e2a.m3u8 list.8f9b6e2a.mpd part.8f9b6e2a.ts app.8f9b6e2a.map app.8f9b6e2a.json.map
        app.8f9b6e2a.html.map app.8f9b6e2a app-DRf8L97S page-{MD5}.html data-{SHA256}.csv
    """,
}  # fmt: skip


def list_names(table: dict[str, str]) -> list[str]:
    return list(itertools.chain.from_iterable(map(str.split, table.values())))


def recognise(name: str) -> bool:
    return has_fingerprint(name.encode(), OURS.select(name.encode()).value)


@pytest.mark.parametrize("name", list_names(TRUE_NAMES))
def test_a_name_as_a_build_tool_writes_it_is_recognised(name: str) -> None:
    assert recognise(name)


@pytest.mark.parametrize("name", list_names(LOOKALIKES))
def test_a_name_that_only_looks_alike_is_not_recognised(name: str) -> None:
    assert not recognise(name)


def test_each_name_stands_in_one_table_once() -> None:
    names = list_names(TRUE_NAMES) + list_names(LOOKALIKES)
    assert len(names) == len(set(names)) > 300


@given(st.binary(max_size=255), st.sampled_from([b"image/png", b"text/javascript", b"text/html"]))
def test_any_name_gets_a_verdict_and_html_never_has_one(name: bytes, media_type: bytes) -> None:
    verdict = has_fingerprint(name, media_type)
    assert verdict in {True, False}
    if media_type == b"text/html" and not name.lower().endswith(b".map"):
        assert not verdict


@given(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20),
    st.sampled_from(["", "-"]),
    st.text("0123456789", min_size=1, max_size=20),
)
def test_a_word_and_a_number_are_no_fingerprint(word: str, between: str, number: str) -> None:
    stem = f"{word}{between}{number}"
    is_recognised = has_fingerprint(f"{stem}.png".encode(), b"image/png")
    assert not is_recognised or set(stem) <= set("0123456789abcdef")


def measure_share(make_name: Callable[[bytes], str]) -> float:
    """Return which share of the names of the same 5,000 contents is recognised."""
    names = [make_name(hashlib.sha256(b"%d" % number).digest()) for number in range(5000)]
    return sum(map(recognise, names)) / len(names)


@pytest.mark.parametrize(
    ("make_name", "least"),
    [
        (lambda digest: f"app.{digest.hex()[:8]}.js", 0.93),
        (lambda digest: f"app.{digest.hex()[:12]}.js", 0.98),
        (lambda digest: f"app-{digest.hex()[:16]}.js", 0.998),
        (lambda digest: f"{digest.hex()[:20]}.js", 0.999),
        (lambda digest: f"app-{digest.hex()}.js", 1),
        # A quarter of these has no digit.
        (lambda digest: f"app-{base64.urlsafe_b64encode(digest)[:8].decode()}.js", 0.64),
        (lambda digest: f"app.{base64.urlsafe_b64encode(digest)[:8].decode()}.js", 0.64),
        # A fifth.
        (lambda digest: f"app-{base64.b32encode(digest)[:8].decode()}.js", 0.77),
    ],
)
def test_of_each_kind_of_hash_most_are_recognised(
    make_name: Callable[[bytes], str], least: float
) -> None:
    share = measure_share(make_name)
    assert share >= least
