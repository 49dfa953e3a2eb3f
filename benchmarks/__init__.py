"""One script per claim of speed, each measured against a peer in the same run; `make bench` runs all."""
