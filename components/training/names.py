"""What others know a training by; nothing heavy is imported here."""

ENCODER = "encoder"  # the exported encoder, in the run's folder
PROGRESS = "train/progress"  # metric: the share of the steps that are done
