"""Making a plan real: commit, read back, compare, and put back what did not come out as planned."""
