"""``python -m benchmarks.representation``."""

from benchmarks.representation.cli import main

main()
