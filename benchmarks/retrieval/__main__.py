"""``python -m benchmarks.retrieval``."""

from benchmarks.retrieval.cli import main

main()
