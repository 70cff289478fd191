"""Building, extending and compacting an index."""
