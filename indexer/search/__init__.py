"""Searching an opened generation and its updates: shortlist, rerank, stop rules, hybrid search."""
