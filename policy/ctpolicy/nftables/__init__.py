"""The nftables backend: one table of ours, as data, compiled, rendered, read back, and changed."""
