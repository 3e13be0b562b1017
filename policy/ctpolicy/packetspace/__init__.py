"""Packets and sets of their field values. Knows nothing of policies or rules."""
