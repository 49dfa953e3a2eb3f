"""Tuples in NGCSE's two patterns: NLI (entailed, contradicting) and STS (same, fewer details, other meaning)."""

from components.synthesis.tuples import PATTERNS, SCHEMA, handwritten

__all__ = ["PATTERNS", "SCHEMA", "handwritten"]
