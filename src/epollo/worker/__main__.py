"""``python -m epollo.worker``: a worker that a supervisor starts."""

import gc
import sys

# Nothing that is loaded is garbage: a collector that looks for some is a tenth of the start. The worker
# enables it when it serves.
gc.disable()

try:
    from epollo.imports import find_at_once

    find_at_once()
    from epollo.worker.program import main
except (ImportError, MemoryError, OSError) as error:
    # A file of the program cannot be read, or a library be mapped.
    sys.stderr.write(f"epollo: a worker cannot start: {error or 'there is too little memory'}\n")
    sys.exit(2)

main()
