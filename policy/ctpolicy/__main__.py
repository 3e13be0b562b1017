"""`python -m ctpolicy`."""

from ctpolicy.cli.main import main

if __name__ == "__main__":
    main()
