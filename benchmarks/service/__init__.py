"""The service under load: what HTTP costs, throughput, overload, and generations changed meanwhile."""

from benchmarks.service.run import main

__all__ = ["main"]
