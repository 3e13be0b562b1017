"""Desired against live: what would change, for traffic and in rules."""
