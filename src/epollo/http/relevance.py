"""Fields that decide an answer by some of their values only."""

from epollo.annotations import Final

MARK_OCTETS: Final = 32

MARKS: Final = {b"accept": b"hj"}
"""By the name of a field, letters: each value that may decide an answer has one of them, in either case,
behind at most `MARK_OCTETS` other octets.

Browsers send another Accept for each kind of request, but a site asks only two things of it: is JSON
wanted rather than HTML, and is HTML named? A client that wants one of them says so first. A line
without such a letter there is as if it were absent, so that answers are recalled for all.
"""

WHOLE_ACCEPT: Final = b"accept:"
"""Among relevant fields, Accept with every value: a site that is an app looks for HTML in it, too."""
