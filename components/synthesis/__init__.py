"""Tuples by in-context learning, in NGCSE's two patterns: NLI (entailed, contradicting) and STS (same, fewer details,
other meaning).

`prompt` and `exemplars` make a request of a sentence, a backend answers it, `ledger` keeps the answer before anything
else is done with it, `filters` judge it, `make` goes on until there are enough, `report` says what came of it.
"""

from components.synthesis.tuples import PATTERNS, SCHEMA

__all__ = ["PATTERNS", "SCHEMA"]
