"""`python -m coremax` is the command line."""

from .cli import main

if __name__ == "__main__":  # whoever walks through the modules of the package runs nothing
    main()
