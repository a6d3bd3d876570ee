"""`python -m tunebench`."""

from tunebench.cli.app import main

main()
