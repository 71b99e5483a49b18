"""``python -m epollo.coder``: a coder that a supply starts."""

import gc
import sys

if len(sys.argv) < 3:
    sys.stderr.write("epollo: a coder is started by epollo itself, not by hand\n")
    sys.exit(2)

# Nothing that is loaded is garbage: a collector that looks for some is a tenth of the start.
gc.disable()

from epollo.imports import find_at_once  # noqa: E402 - loaded as above

find_at_once()
from epollo.coder.process import main  # noqa: E402 - loaded as above

gc.freeze()
gc.enable()
main()
