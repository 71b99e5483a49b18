"""``python -m epollo.lab``: the lab where a folder is called lab as well."""

import sys

from epollo.lab.command import main
from epollo.terminal import open_streams

if __name__ == "__main__":
    open_streams()
    main(sys.argv[1:])
