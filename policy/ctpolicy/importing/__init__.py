"""From what a ruleset leaves untracked back to a policy: a live host or a dump becomes YAML that people can own."""
