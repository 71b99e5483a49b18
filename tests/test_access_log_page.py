"""What docs/operating.md says of the access log is true of its lines."""

import json
import re
from pathlib import Path

import pytest

from epollo.access_log.formats import FORMATS, format_end

PAGE = (Path(__file__).parents[1] / "docs" / "operating.md").read_text()
SECOND = 784_111_777
PEER = "192.0.2.1"


def format_line(name: str, head: bytes, status: int, subject: str = "") -> str:
    line_format = FORMATS[name]
    begin = line_format.format_begin(PEER, subject, SECOND)
    end = format_end(1234) if line_format.tells_seconds else b""
    return (begin + line_format.format_middle(head, status, 401) + end).decode()


def test_every_key_of_json_is_on_the_page() -> None:
    rows = PAGE.partition("| key | value |")[2].partition("\n\n")[0]
    named = {
        key
        for cell in re.findall(r"^\|([^|]+)\|", rows, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    lines = (
        format_line("json", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "CN=alice"),
        format_line("json", b"nonsense\r\n", 400),
    )
    assert set().union(*map(json.loads, lines)) == named


@pytest.mark.parametrize("name", ["common", "combined"])
@pytest.mark.parametrize("subject", ["", 'CN=a b,O="c'])
@pytest.mark.parametrize("target", [b"/private", b'/"] 401 "', b"/ 429 "])
def test_guesses_are_found_by_their_status_alone(name: str, subject: str, target: bytes) -> None:
    (rule,) = re.findall(r"^failregex = (.*)$", PAGE, re.MULTILINE)
    pattern = re.compile(rule.replace("<HOST>", r"(?P<host>\S+)"))
    head = b"GET " + target + b' HTTP/1.1\r\nHost: a\r\nReferer: " 401 \r\n\r\n'
    for status in (200, 401, 403, 404, 429):
        found = pattern.match(format_line(name, head, status, subject))
        assert (found is not None) is (status in {401, 429})
        assert found is None or found["host"] == PEER
