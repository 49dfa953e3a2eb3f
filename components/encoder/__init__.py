"""Transformer, pooling and head: from sentences to embeddings, in training and in use."""
