"""`python -m coremax` is the command line."""

from .cli import main

main()
