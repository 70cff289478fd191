"""The service under load: HTTP overhead, throughput, overload, and changes of generation."""

from benchmarks.service.run import main

__all__ = ["main"]
