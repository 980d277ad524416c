"""`python -m cortez` is `cortez`."""

from cortez.cli import main

main()
