"""Where results go. The only room that imports mlflow, and only when something is sent or asked.

Training writes a `journal` on disk and never waits for a server; `delivery` carries the journal to MLflow.
"""
