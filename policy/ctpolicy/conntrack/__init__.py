"""The live conntrack table: reading it, and what a policy makes of it."""
