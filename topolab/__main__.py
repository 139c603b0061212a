"""The entry point of the command: quick to import, so that Ctrl-C is answered from the first moment on."""

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from topolab.cli import main as run
    except KeyboardInterrupt:
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
