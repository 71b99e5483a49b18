"""HTTP-date: one form written, three read, and what is none."""

import locale
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.dates import format_date, parse_date

# The example of RFC 9110 section 5.6.7.
EXAMPLE_SECONDS = 784_111_777


def seconds_of(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


NOW_SECONDS = seconds_of(2026, 6, 15, 12)


@pytest.mark.parametrize(
    ("seconds", "octets"),
    [
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (EXAMPLE_SECONDS, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (-1, b"Wed, 31 Dec 1969 23:59:59 GMT"),
        (2**31, b"Tue, 19 Jan 2038 03:14:08 GMT"),
        (seconds_of(1980, 1, 1), b"Tue, 01 Jan 1980 00:00:00 GMT"),
        (seconds_of(9999, 12, 31), b"Fri, 31 Dec 9999 00:00:00 GMT"),
        (2**63, b"Fri, 31 Dec 9999 23:59:59 GMT"),
        (-(2**63), b"Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_dates_are_written(seconds: int, octets: bytes) -> None:
    assert format_date(seconds) == octets


@given(st.integers(min_value=0, max_value=seconds_of(9999, 12, 31)))
def test_a_written_date_is_the_standard_librarys_and_is_read_back(seconds: int) -> None:
    assert format_date(seconds) == formatdate(seconds, usegmt=True).encode()
    assert parse_date(format_date(seconds), NOW_SECONDS) == seconds


@given(
    st.integers(min_value=NOW_SECONDS - 49 * 31_557_600, max_value=NOW_SECONDS + 49 * 31_557_600)
)
def test_the_obsolete_forms_are_read(seconds: int) -> None:
    instant = datetime.fromtimestamp(seconds, UTC)
    assert locale.setlocale(locale.LC_TIME) == "C"
    assert (
        parse_date(instant.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode(), NOW_SECONDS) == seconds
    )
    assert parse_date(instant.ctime().encode(), NOW_SECONDS) == seconds


@pytest.mark.parametrize(
    ("octets", "seconds"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE_SECONDS),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE_SECONDS),
        (b"Sun Nov  6 08:49:37 1994", EXAMPLE_SECONDS),
        (b"Wed Nov 16 08:49:37 1994", EXAMPLE_SECONDS + 10 * 86_400),
        (b"Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        # The leap second of 2016 is the second after it.
        (b"Sat, 31 Dec 2016 23:59:60 GMT", seconds_of(2017, 1, 1)),
        (b"Saturday, 31-Dec-16 23:59:60 GMT", seconds_of(2017, 1, 1)),
        (b"Sat Dec 31 23:59:60 2016", seconds_of(2017, 1, 1)),
        (b"Wed, 31 Dec 1969 23:59:59 GMT", -1),
    ],
)
def test_dates_are_read(octets: bytes, seconds: int) -> None:
    assert parse_date(octets, NOW_SECONDS) == seconds


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"0",
        b"784111777",
        b"now",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 06 Nov 1994 08:49:37 gmt",
        b"sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 NOV 1994 08:49:37 GMT",
        b"Sun,06 Nov 1994 08:49:37 GMT",
        b"Sun  06 Nov 1994 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06 Nov 01994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49 GMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT ",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT; length=5",
        b"Mon, 06 Nov 1994 08:49:37 GMT",
        b"Xxx, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Thu, 31 Nov 1994 08:49:37 GMT",
        b"Mon, 29 Feb 1994 08:49:37 GMT",
        b"Thu, 29 Feb 1900 08:49:37 GMT",
        b"Sun, 06 Foo 1994 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 08:49:60 GMT",
        b"Sun, 06 Nov 1994 23:59:61 GMT",
        b"Sun, 06 Nov 1994 -8:49:37 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Sunday, 06-Nov-1994 08:49:37 GMT",
        b"Sunday, 06 Nov 94 08:49:37 GMT",
        b"Monday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun Nov  6 08:49:37 94",
        b"Sun Nov  6 08:49:37 1994 GMT",
        b"Sunday Nov  6 08:49:37 1994",
        b"Sun Nov  0 08:49:37 1994",
        b"Sun, \xd9\xa0\xd9\xa6 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(octets: bytes) -> None:
    assert parse_date(octets, NOW_SECONDS) is None


@pytest.mark.parametrize(
    ("octets", "year"),
    [
        # Now is noon of 15 June 2026: at most 50 years ahead is in the future.
        (b"%b, 15-Jun-26 12:00:00 GMT", 2026),
        (b"%b, 16-Jun-26 12:00:00 GMT", 2026),
        (b"%b, 15-Jun-75 12:00:00 GMT", 2075),
        (b"%b, 15-Jun-76 12:00:00 GMT", 2076),
        (b"%b, 15-Jun-76 12:00:01 GMT", 1976),
        (b"%b, 16-Jun-76 00:00:00 GMT", 1976),
        (b"%b, 01-Jul-76 00:00:00 GMT", 1976),
        (b"%b, 31-May-76 23:59:59 GMT", 2076),
        (b"%b, 15-Jun-77 12:00:00 GMT", 1977),
        (b"%b, 15-Jun-99 12:00:00 GMT", 1999),
        (b"%b, 15-Jun-00 12:00:00 GMT", 2000),
    ],
)
def test_two_digits_are_a_year_at_most_fifty_years_ahead(octets: bytes, year: int) -> None:
    readings = {
        reading
        for name in (b"Mon", b"Tues", b"Wednes", b"Thurs", b"Fri", b"Satur", b"Sun")
        if (reading := parse_date(octets % (name + b"day"), NOW_SECONDS)) is not None
    }
    assert {datetime.fromtimestamp(reading, UTC).year for reading in readings} == {year}


@given(st.binary(max_size=60))
def test_any_octets_are_a_date_or_none(octets: bytes) -> None:
    reading = parse_date(octets, NOW_SECONDS)
    assert reading is None or len(format_date(reading)) == 29


@given(st.from_regex(rb"(Sun|Mon), [0-9]{2} (Feb|Nov) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z"))
def test_what_looks_like_a_date_is_exactly_it_or_none(octets: bytes) -> None:
    reading = parse_date(octets, NOW_SECONDS)
    assert reading is None or octets[17:25] == b"23:59:60" or format_date(reading) == octets
