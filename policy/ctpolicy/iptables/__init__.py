"""The iptables backend: our chains in the raw table and our ipsets, as data, compiled, rendered, read and changed."""
