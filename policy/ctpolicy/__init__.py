"""ctpolicy: a compiler and driver for policies about Linux connection tracking."""

__version__ = "0.1.0"
