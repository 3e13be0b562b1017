"""The command line: parses arguments and prints. What it prints is decided elsewhere."""
