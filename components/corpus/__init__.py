"""MediaWiki dump or text → clean, deduplicated sentences; train / held-out split."""
