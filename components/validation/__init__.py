"""The right to pass: one Great Expectations suite per kind of data set, and training's question whether it was passed.

`python -m components.validation KIND` judges; `require_passed` asks. Importing this does not import Great Expectations.
"""

from components.validation.report import passed, require_passed

__all__ = ["passed", "require_passed"]
