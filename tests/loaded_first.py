"""What tests with `pytester` import before they run another pytest in this process.

It forgets afterwards what was first imported inside; a second PyYAML then does not know the events of its own scanner
in C, and every policy is empty. Whoever imports this has it all loaded.
"""

import ctpolicy.language.load
import ctpolicy.testing.fake_host
import ctpolicy.testing.strategies

LOADED = (ctpolicy.language.load, ctpolicy.testing.fake_host, ctpolicy.testing.strategies)
