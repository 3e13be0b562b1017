"""Questions about policies before anything is applied: lints."""
