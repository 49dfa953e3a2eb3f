"""A search over settings: what is varied, and what came of it. The flow `sweep` trains, optuna proposes."""
