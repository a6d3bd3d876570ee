"""`python -m tunebench.cli`."""

from tunebench.cli.app import main

main()
