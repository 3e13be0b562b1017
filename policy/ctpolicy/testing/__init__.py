"""What the tests of ctpolicy's users need. `strategies` needs the extra `ctpolicy[testing]`."""
