"""A model as a directory: its record, its card, and how a new one takes its place."""
