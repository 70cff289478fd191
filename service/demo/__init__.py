"""The demonstration: from raw text to search results, on the documentation of this Python."""
