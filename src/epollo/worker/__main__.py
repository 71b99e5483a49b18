"""``python -m epollo.worker``: a worker that a supervisor starts."""

from epollo.worker.process import main

main()
