"""``python -m epollo.worker``: a worker that a supervisor starts."""

import gc

# Nothing that is loaded is garbage: a collector that looks for some is a tenth of the start.
gc.disable()

from epollo.worker.process import main  # noqa: E402 - loaded as above

gc.freeze()
gc.enable()
main()
