"""Encoders: turn texts and images into unit vectors whose prefixes are embeddings too."""
