"""Packets near the boundaries of a policy: see ctpolicy/boundaries.py, which reviews ask for them too."""

from ctpolicy.boundaries import boundary_packets

__all__ = ["boundary_packets"]
