"""What every backend shares: netfilter's hooks, and what may become of a packet on its way to conntrack."""
