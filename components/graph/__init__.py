"""The data graph: what each stage of dvc.yaml is made from, and whether what it made still stands.

Stage `plan` (`python -m components.graph`) writes for each other stage one file of what it reads: parameters with the
profile laid over them, code by its syntax trees, pins of sources. That file is the stage's dependency, so that a stage
runs again for what it reads itself and for nothing else. `require_fresh` compares the same with dvc.lock, before
anything trains.
"""
