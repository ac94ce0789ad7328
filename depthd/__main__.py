"""`python -m depthd` is `depthd`.

Python puts the working directory first on the path of a module that is run by `-m`. Others may
have put files there, so it is taken away before anything is imported that is not built in. (A
`depthd.py` there is run before this file is seen: only the command `depthd` and `python -P -m
depthd` are safe from that one.)
"""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]
    from depthd.cli import main

    sys.exit(main())
