"""The kernel, asked in scratch network namespaces which packets a ruleset leaves untracked."""
