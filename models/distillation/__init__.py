"""A static table, many times as fast, learned from a transformer."""
