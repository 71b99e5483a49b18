"""Instants as HTTP writes them: seconds since 1970 in UTC, and HTTP-date (RFC 9110 section 5.6.7).

We send IMF-fixdate only, and read the two obsolete forms as well. Names of days and months are English
whatever the locale is, and are case-sensitive. A date that no calendar has (30 February, a day name
that contradicts the date, hour 24) is no HTTP-date. A recipient ignores its field: the answer may then
be longer than needed, but never wrong.
"""

import re
from functools import lru_cache

from epollo.annotations import TYPE_CHECKING, Final
from epollo.patterns import compile_late

if TYPE_CHECKING:
    from datetime import date
else:
    try:
        # `datetime` has it from here; to import that module takes a hundredth of a start.
        from _datetime import date
    except ImportError:
        from datetime import date

_DAY_NAMES: Final = tuple(b"Mon Tue Wed Thu Fri Sat Sun".split())
_LONG_DAY_NAMES: Final = tuple(b"Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTH_NAMES: Final = tuple(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
"""In their order: names that do not depend on the locale, as those of strftime(3) do."""
_MONTHS: Final = {name: number for number, name in enumerate(MONTH_NAMES, 1)}
_WEEKDAYS: Final = {
    name: number for names in (_DAY_NAMES, _LONG_DAY_NAMES) for number, name in enumerate(names)
}

_DAY_SECONDS: Final = 86_400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_FIRST_SECONDS: Final = (date.min.toordinal() - _EPOCH_DAY) * _DAY_SECONDS
_LAST_SECONDS: Final = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY_SECONDS - 1

_MONTH: Final = rb"(?P<month>%b)" % b"|".join(MONTH_NAMES)
_DAY_NAME: Final = rb"(?P<day_name>%b)" % b"|".join(_DAY_NAMES)
_LONG_DAY_NAME: Final = rb"(?P<day_name>%b)" % b"|".join(_LONG_DAY_NAMES)

# time-of-day = hour ":" minute ":" second    ; 00:00:00 - 23:59:60 (leap second)
_TIME_OF_DAY: Final = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# IMF-fixdate = day-name "," SP date1 SP time-of-day SP GMT
# date1       = day SP month SP year          ; e.g., 02 Jun 1982
_IMF_FIXDATE: Final = compile_late(
    rb"%b, (?P<day>[0-9]{2}) %b (?P<year>[0-9]{4}) %b GMT" % (_DAY_NAME, _MONTH, _TIME_OF_DAY)
)

# rfc850-date = day-name-l "," SP date2 SP time-of-day SP GMT
# date2       = day "-" month "-" 2DIGIT      ; e.g., 02-Jun-82
_RFC850_DATE: Final = compile_late(
    rb"%b, (?P<day>[0-9]{2})-%b-(?P<year>[0-9]{2}) %b GMT" % (_LONG_DAY_NAME, _MONTH, _TIME_OF_DAY)
)

# asctime-date = day-name SP date3 SP time-of-day SP year
# date3        = month SP ( 2DIGIT / ( SP 1DIGIT ))    ; e.g., Jun  2
_ASCTIME_DATE: Final = compile_late(
    rb"%b %b (?P<day>[0-9]{2}| [0-9]) %b (?P<year>[0-9]{4})" % (_DAY_NAME, _MONTH, _TIME_OF_DAY)
)


@lru_cache(maxsize=1024)
def format_date(seconds: int) -> bytes:
    """Return the IMF-fixdate of an instant in seconds since 1970.

    Files that were written together share few dates: most dates are looked up, which takes a twentieth
    of the three microseconds.

    The form has four digits for the year: an instant outside of the years 1 to 9999 is given as the
    nearest one inside.
    """
    seconds = min(max(seconds, _FIRST_SECONDS), _LAST_SECONDS)
    days, second_of_day = divmod(seconds, _DAY_SECONDS)
    minutes, second = divmod(second_of_day, 60)
    hour, minute = divmod(minutes, 60)
    day = date.fromordinal(_EPOCH_DAY + days)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAY_NAMES[day.weekday()],
        day.day,
        MONTH_NAMES[day.month - 1],
        day.year,
        hour,
        minute,
        second,
    )


def parse_date(octets: bytes, now_seconds: int) -> int | None:
    """Return the seconds since 1970 of an HTTP-date in any of its three forms, or None.

    An rfc850-date has two digits for the year: ``now_seconds`` (since 1970) tells its century. A leap
    second is read as the second after it, as POSIX time has none.
    """
    found = _IMF_FIXDATE.fullmatch(octets)
    if found is not None:
        year = int(found["year"])
    elif (found := _RFC850_DATE.fullmatch(octets)) is not None:
        year = _resolve_century(found, now_seconds)
    elif (found := _ASCTIME_DATE.fullmatch(octets)) is not None:
        year = int(found["year"])
    else:
        return None
    second_of_day = _parse_time_of_day(found)
    if second_of_day is None:
        return None
    try:
        day = date(year, _MONTHS[found["month"]], int(found["day"]))
    except ValueError:
        return None
    if day.weekday() != _WEEKDAYS[found["day_name"]]:
        return None
    return (day.toordinal() - _EPOCH_DAY) * _DAY_SECONDS + second_of_day


def _parse_time_of_day(found: re.Match[bytes]) -> int | None:
    """Return the seconds since midnight, None past 23:59:60; only that minute has a leap second."""
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if hour > 23 or minute > 59:
        return None
    if second > 59 and (hour, minute, second) != (23, 59, 60):
        return None
    return (hour * 60 + minute) * 60 + second


def _resolve_century(found: re.Match[bytes], now_seconds: int) -> int:
    """Return the last year with these two digits that is at most 50 years ahead of now.

    RFC 9110 section 5.6.7: what seems to be more than 50 years in the future is in the past.
    """
    days, now_second_of_day = divmod(now_seconds, _DAY_SECONDS)
    now = date.fromordinal(_EPOCH_DAY + days)
    limit = now.year + 50
    year = limit - (limit - int(found["year"])) % 100
    instant = (
        _MONTHS[found["month"]],
        int(found["day"]),
        (int(found["hour"]) * 60 + int(found["minute"])) * 60 + int(found["second"]),
    )
    if year == limit and instant > (now.month, now.day, now_second_of_day):
        return year - 100
    return year
