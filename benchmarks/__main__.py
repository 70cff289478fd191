"""Run all benchmarks, or those named: ``python -m benchmarks [quality] [retrieval] …``; results go to ``results/``."""

import importlib
import sys

NAMES = (
    "quality",
    "hybrid",
    "kill_build",
    "kill_updates",
    "large_build",
    "promises",
    "retrieval",
    "stopping",
    "rerank",
    "adapters",
    "representation",
    "image_digits",
    "service",
    "service_fuzz",
    "service_kill",
    "faults",
)

for name in sys.argv[1:] or NAMES:
    if name not in NAMES:
        sys.exit(f"benchmark {name!r}: known are {', '.join(NAMES)}")
    print(f"── {name}", file=sys.stderr)
    sys.argv = [name]
    importlib.import_module(f"benchmarks.{name}").main()
