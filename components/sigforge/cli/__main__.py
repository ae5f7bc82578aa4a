"""``python -m sigforge.cli`` is the command ``sigforge``."""

from sigforge.cli.app import main

if __name__ == "__main__":
    main()
