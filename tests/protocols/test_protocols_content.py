import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.protocols.http1.content import ChunkReader, LengthReader, Progress

LIMIT = 4096


def read_whole(octets: bytes, limit: int = LIMIT) -> tuple[Progress, int]:
    return ChunkReader(limit).read(octets, 0)


def read_in_parts(octets: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[Progress, int]:
    """Read as a connection does: what was not taken is offered again, with more behind it."""
    reader = ChunkReader(limit)
    edges = [*sorted(cuts), len(octets)]
    position = 0
    progress = Progress.UNFINISHED
    for edge in edges:
        progress, taken = reader.read(octets[position:edge], 0)
        position += taken
        if progress is not Progress.UNFINISHED:
            break
    return progress, position


@pytest.mark.parametrize(
    "octets",
    [
        b"0\r\n\r\n",
        b"000\r\n\r\n",
        b"1\r\nx\r\n0\r\n\r\n",
        b"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        b"A;x=y\r\n0123456789\r\n0;z\r\n\r\n",
        b'1 \t;\tx = "y"\r\n\n\r\n0\r\n\r\n',
        b'1;a;b="";c="\\"";d="\\\\";e="\t \xff;=";f=\t"x"\r\nx\r\n0\t;!#$%&\'*+-.^_`|~\r\n\r\n',
        b"0\r\nX: 1\r\nY:\r\n\r\n",
        b"00000000000000a\r\n0123456789\r\n0\r\n\r\n",
    ],
)
def test_to_the_end_and_not_beyond(octets: bytes) -> None:
    assert read_whole(octets + b"GET / HTTP/1.1") == (Progress.FINISHED, len(octets))
    everywhere = list(range(1, len(octets)))
    assert read_in_parts(octets, everywhere) == (Progress.FINISHED, len(octets))
    for end in range(len(octets)):
        assert read_whole(octets[:end])[0] is Progress.UNFINISHED


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"x\r\n",
        b"0x1\r\nx\r\n",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b" 1\r\nx\r\n",
        b"1 \r\nx\r\n",
        b"1_0\r\n",
        b"\xb2\r\n",
        b"1\nx\r\n",
        b"1\r\nx\n",
        b"1\r\nxx\r\n",
        b"2\r\nx\r\n0\r\n\r\n",
        b"1;\x00\r\nx\r\n",
        b"1;\r\nx\r\n",
        b"1; \r\nx\r\n",
        b"1;;a\r\nx\r\n",
        b"1;a;\r\nx\r\n",
        b"1;a \r\nx\r\n",
        b"1;a=\r\nx\r\n",
        b"1;a= \r\nx\r\n",
        b"1;a=b \r\nx\r\n",
        b"1;a=b c\r\nx\r\n",
        b"1;a b\r\nx\r\n",
        b"1;a=b=c\r\nx\r\n",
        b"1;=x\r\nx\r\n",
        b"1;bad[=x\r\nx\r\n",
        b"1;a=b[\r\nx\r\n",
        b"1;a=\xe9\r\nx\r\n",
        b"1;a,b\r\nx\r\n",
        b'1;"a"\r\nx\r\n',
        b'1;"a"=b\r\nx\r\n',
        b'1;a="b\r\nx\r\n',
        b'1;a=b"\r\nx\r\n',
        b'1;a="b"c\r\nx\r\n',
        b'1;a="b"" \r\nx\r\n',
        b'1;a="b\\\x7f"\r\nx\r\n',
        b'1;a="b\\"\r\nx\r\n',
        b'1;a="\x7f"\r\nx\r\n',
        b"1=a\r\nx\r\n",
        b"1,a\r\nx\r\n",
        b"0;\r\n\r\n",
        b"0; =\r\n\r\n",
        b"0 \r\n\r\n",
        b"000;a[\r\n\r\n",
        b"1;a\rb\r\nx\r\n",
        b"1;a\nx\r\n",
        b"1\rx",
        b"0\r\n\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"1000000000000000\r\n",
        b"1" + b";" * 1100,
        b"0\r\nX: " + b"x" * 1100,
    ],
)
def test_malformed_in_each_way(octets: bytes) -> None:
    everywhere = list(range(1, len(octets)))
    assert read_whole(octets)[0] is Progress.MALFORMED
    assert read_in_parts(octets, everywhere)[0] is Progress.MALFORMED


@pytest.mark.parametrize(
    "octets",
    [
        b"1001\r\n" + b"x" * 5000,
        b"ff0\r\n" + b"x" * 0xFF0 + b"\r\n0\r\n\r\n" + b"X: 1\r\n",
        b"1\r\nx\r\n" * 2000,
        b"0\r\n" + b"X: 1\r\n" * 2000,
        b"ffffffffffffff\r\n" + b"x" * 5000,
    ],
)
def test_content_and_framing_are_bounded(octets: bytes) -> None:
    progress = read_whole(octets)[0]
    assert progress is read_in_parts(octets, list(range(1, len(octets), 7)))[0]
    assert progress in {Progress.TOO_LARGE, Progress.FINISHED}
    assert (progress is Progress.FINISHED) == octets.startswith(b"ff0")


CHUNKED = st.lists(
    st.one_of(
        st.sampled_from(
            [b"0\r\n", b"\r\n", b"1\r\nx\r\n", b"5;a\r\n12345\r\n", b"X: 1\r\n", b"\n", b"\r", b"f"]
        ),
        st.binary(max_size=6),
    ),
    max_size=12,
).map(b"".join)


@given(CHUNKED, st.lists(st.integers(0, 60), max_size=20), st.integers(1, 40))
def test_any_split_ends_alike(octets: bytes, cuts: list[int], limit: int) -> None:
    cuts = [cut for cut in cuts if cut < len(octets)]
    whole, position = read_whole(octets, limit)
    progress, other_position = read_in_parts(octets, cuts, limit)
    assert progress is whole
    if progress is Progress.FINISHED:
        assert position == other_position


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.binary(max_size=10))
def test_whatever_is_chunked_is_read_past(chunks: list[bytes], behind: bytes) -> None:
    octets = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read_whole(octets + behind) == (Progress.FINISHED, len(octets))


@pytest.mark.parametrize("length", [1, 5, 100])
def test_length_is_counted(length: int) -> None:
    reader = LengthReader(length)
    for _ in range(length - 1):
        assert reader.read(b"x", 0) == (Progress.UNFINISHED, 1)
    assert reader.read(b"xGET", 0) == (Progress.FINISHED, 1)


def test_length_is_counted_from_where_reading_starts() -> None:
    assert LengthReader(3).read(b"head" + b"123" + b"next", 4) == (Progress.FINISHED, 7)
