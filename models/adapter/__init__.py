"""A learned rotation that makes the vectors of an existing model nested."""
