"""`python -m scenelet` is the command `scenelet`."""

from scenelet.cli import main

if __name__ == "__main__":
    main()
