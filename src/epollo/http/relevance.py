"""Which field lines an answer may depend on, where that is for their values to say."""

from typing import Final

MARK_OCTETS: Final = 32

MARKS: Final = {b"accept": b"hj"}
"""Octets of which one stands, in either case and behind at most `MARK_OCTETS` others, in each value of a
field on which an answer may depend.

Browsers send another Accept for each kind of request, and a site asks two things of it alone: is JSON
wanted rather than HTML, and is HTML named? A client that wants one of them says so first. A line without
these octets there is as if it were absent, so that answers are recalled for all.
"""

WHOLE_ACCEPT: Final = b"accept:"
"""Among relevant fields, Accept with every value: a site that is an app looks for HTML in it, too."""
