"""The demonstration: the whole line, from raw text to an answered query, on the documentation of this Python."""
