"""`python -m tunebench`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the folder where the command was called: a user's script there may be named like a library

from tunebench.cli.app import main

main()
