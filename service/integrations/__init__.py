"""Retrievers of other libraries over a service or an opened index; each module needs the extra of its name."""
