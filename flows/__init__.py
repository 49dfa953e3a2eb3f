"""Prefect's side: flows that call components and add retries, concurrency, logs and artifacts. No maths here."""
