"""What a host's bypass and its conntrack table are like, as metrics for Prometheus."""
