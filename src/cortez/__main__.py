"""`python -m cortez` is `cortez`."""

from cortez.commands.cli import main

main()
