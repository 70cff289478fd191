"""Model directories: record, card, and atomic replacement."""
