"""Benchmarks, one a module: ``python -m benchmarks NAME``. Results are written to ``benchmarks/results``."""
