"""``python -m epollo``."""

from epollo.cli import main

if __name__ == "__main__":
    main()
