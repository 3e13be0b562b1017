"""What a host can and what is wrong with it: facts come through one door, and findings are made of these alone."""
