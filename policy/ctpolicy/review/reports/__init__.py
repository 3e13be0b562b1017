"""A review written down: one file a format, each a pure function of the review."""
