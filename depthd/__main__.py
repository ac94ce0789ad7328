"""`python -m depthd` is `depthd`."""

import sys

from depthd.cli import main

if __name__ == "__main__":
    sys.exit(main())
