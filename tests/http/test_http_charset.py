import pytest

from epollo.http.charset import find_declared_charset, is_announced_as_utf8

KOREAN = "<p>안녕하세요"
HTML, XML, CSS = b"text/html", b"text/xml", b"text/css"


@pytest.mark.parametrize(
    ("media_type", "head", "charset"),
    [
        (HTML, b"<meta charset=utf-8>", b"utf-8"),
        (HTML, b"<meta charset=EUC-KR>", b"euc-kr"),
        (HTML, b'<!doctype html><html><head>\n<META  CharSet = "Shift_JIS" />', b"shift_jis"),
        (HTML, b"<meta charset='iso-8859-1'/>", b"iso-8859-1"),
        (HTML, b"<meta name=x charset=big5>", b"big5"),
        (HTML, b'<meta http-equiv=Content-Type content="text/html; charset=koi8-r">', b"koi8-r"),
        (HTML, b"<meta content='text/html;charset=gbk' http-equiv='content-type'>", b"gbk"),
        (HTML, b'<?xml version="1.0" encoding="ISO-8859-15"?><html>', b"iso-8859-15"),
        (HTML, b"<!-- <meta charset=euc-kr> --><meta charset=utf-8>", b"utf-8"),
        (HTML, b"<!-- <meta charset=euc-kr>", None),
        (HTML, b"<meta name=charset content=euc-kr>", None),
        (HTML, b"<meta name=description content='what charset=latin1 means'>", None),
        (HTML, b"<meta name=a content=b><meta name=c content='charset=d' charset=e>", b"e"),
        (HTML, b"<metadata charset=euc-kr>", None),
        (HTML, b"<p>charset=euc-kr", None),
        (HTML, b" " * 5000 + b"<meta charset=euc-kr>", None),
        (HTML, b"<meta charset=", None),
        (HTML, b"", None),
        (XML, b'<?xml version="1.0" encoding="ISO-8859-1"?>', b"iso-8859-1"),
        (XML, b"<?xml version='1.0' encoding = 'UTF-8' ?>", b"utf-8"),
        (XML, b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>', b"utf-8"),
        (XML, b'<?xml version="1.0"?><a encoding="latin1"/>', None),
        (XML, b'\n<?xml version="1.0" encoding="latin1"?>', None),
        (XML, b"<meta charset=latin1>", None),
        (b"application/rss+xml", b'<?xml version="1.0" encoding="koi8-r"?>', b"koi8-r"),
        (CSS, b'@charset "windows-1251";', b"windows-1251"),
        (CSS, b"@charset 'windows-1251';", None),
        (CSS, b' @charset "windows-1251";', None),
        (b"text/plain", b"<meta charset=euc-kr>", None),
        (b"text/javascript", b'@charset "latin1";', None),
    ],
)  # fmt: skip
def test_what_a_text_names(media_type: bytes, head: bytes, charset: bytes | None) -> None:
    assert find_declared_charset(media_type, head) == charset


@pytest.mark.parametrize(
    ("media_type", "content", "is_utf8"),
    [
        (HTML, b"", True),
        (HTML, b"plain", True),
        (HTML, KOREAN.encode(), True),
        (HTML, "\N{GRINNING FACE}".encode(), True),
        (HTML, b"\xef\xbb\xbfwith a mark", True),
        (HTML, KOREAN.encode("euc-kr"), False),
        (HTML, "caf\xe9".encode("latin-1"), False),
        (HTML, "caf\xe9".encode("utf-16"), False),
        (HTML, "ascii".encode("utf-16-le"), False),
        (HTML, "caf\xe9".encode()[:-1], False),
        (b"text/plain", "日本語".encode("iso2022_jp"), False),
        (b"text/plain", "한국어".encode("iso2022_kr"), False),
        (b"text/plain", b"\x1b[31mred\x1b(B\x1b[m", True),
        # Surrogates and overlong forms are no UTF-8 (RFC 3629 section 3).
        (b"text/plain", b"\xed\xa0\x80", False),
        (b"text/plain", b"\xc0\xaf", False),
        (b"text/plain", b"\xf4\x90\x80\x80", False),
        # What another encoding is named of is left to it, though it could be UTF-8.
        (HTML, b"<meta charset=euc-kr>ascii", False),
        (HTML, b"<meta charset=UTF8>" + KOREAN.encode(), True),
        (HTML, b"<meta charset=utf-16>" + KOREAN.encode(), True),
        (XML, b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', False),
        (XML, b'<?xml version="1.0" encoding="UTF-8"?><a/>', True),
        (CSS, b'@charset "iso-8859-1";', False),
        (CSS, b'@charset "utf-8";', True),
    ],
)
def test_what_is_announced_as_utf8(media_type: bytes, content: bytes, is_utf8: bool) -> None:
    assert is_announced_as_utf8(media_type, (content,)) is is_utf8


@pytest.mark.parametrize(
    ("content", "is_utf8"),
    [
        (KOREAN.encode(), True),
        (KOREAN.encode()[:-2], False),
        ("日本".encode("iso2022_jp"), False),
    ],
)
def test_text_in_pieces(content: bytes, is_utf8: bool) -> None:
    for place in range(1, len(content)):
        pieces = (content[:place], content[place:])
        assert is_announced_as_utf8(b"text/plain", pieces) is is_utf8
    assert is_announced_as_utf8(b"text/plain", (bytes((b,)) for b in content)) is is_utf8
