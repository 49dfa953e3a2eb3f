"""What an encoder is worth: STS, transfer tasks, geometry, fitting difficulty, biases."""
