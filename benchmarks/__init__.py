"""Measurements. Each module is one benchmark: ``python -m benchmarks NAME``; results go to ``benchmarks/results``."""
