"""The gate: rules in, a verdict with its reasons out. Pure; whoever calls it moves the alias."""
