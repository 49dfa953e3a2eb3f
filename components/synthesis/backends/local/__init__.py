"""A causal language model on this machine, run with continuous batching over a shared prompt prefix."""
