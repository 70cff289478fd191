"""Encoders: texts, images and tokens become unit vectors whose prefixes are embeddings too."""
