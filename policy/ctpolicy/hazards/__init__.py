"""What a bypass does to packets in every other table: the rules of a host in one form, and the walk through them."""
