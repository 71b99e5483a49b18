"""``python -m epollo.lab``: the lab where a folder is called lab as well."""

import sys

from epollo.lab.command import main

if __name__ == "__main__":
    main(sys.argv[1:])
