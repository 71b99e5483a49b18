"""Whatever Accept-Encoding says, no coding that was refused is sent, and form changes nothing."""

from epollo.http.content_coding import parse_accept_encoding, select_coding

TOKENS = (
    b"br", b"zstd", b"gzip", b"x-gzip", b"identity", b"*", b"deflate", b";q=0", b";q=1", b"; q=0.5",
    b";Q=0.001", b";q=1.001", b", ", b",", b'"', b"\\", b"\t",
)  # fmt: skip
CODINGS = (b"identity", b"br", b"zstd", b"gzip")
SIZES = {b"identity": 1000, b"br": 300, b"zstd": 320, b"gzip": 330}


def check(octets: bytes) -> None:
    """Read the octets as the value of Accept-Encoding."""
    preference = parse_accept_encoding(octets)
    weights = dict(preference.weights)
    assert len(weights) == len(preference.weights)
    assert set(weights) <= set(CODINGS)
    assert all(0 <= weight <= 1000 for weight in weights.values())

    selected = select_coding(preference, SIZES)
    if selected is None:
        assert not weights
    else:
        assert weights[selected] == max(weights.values())
        rivals = [coding for coding in weights if weights[coding] == weights[selected]]
        assert SIZES[selected] == min(SIZES[coding] for coding in rivals)
    # Without the others at hand, there is the content as it is or nothing.
    assert select_coding(preference, {b"identity": 1000}) in {b"identity", None}

    assert parse_accept_encoding(octets.swapcase()) == preference
    if b'"' in octets:
        # A string that is not closed takes what follows.
        return
    assert parse_accept_encoding(b", \t,%b," % octets) == preference
    assert dict(parse_accept_encoding(b",".join(reversed(octets.split(b",")))).weights) == weights
    assert parse_accept_encoding(octets + b", gzip;q=2, br;x=1, \xff") == preference
    for coding in CODINGS:
        refused = dict(parse_accept_encoding(b"%b, %b;q=0" % (octets, coding)).weights)
        weights_without = {name: weight for name, weight in weights.items() if name != coding}
        assert refused == weights_without, "a refusal is not taken back, and concerns one coding"
