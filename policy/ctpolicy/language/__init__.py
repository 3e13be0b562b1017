"""The policy language: YAML text to `Policy`, with every mistake told at its place."""
