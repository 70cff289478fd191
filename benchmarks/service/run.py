"""The command: ``python -m benchmarks service [overhead] [throughput] [overload] [reloads] [peers] [--seconds 60]``."""

import argparse
import sys
from pathlib import Path

from benchmarks.report import save
from benchmarks.retrieval.config import cache_folder
from benchmarks.service import scenarios
from benchmarks.service.peers import peers
from benchmarks.service.served import ROWS, served_index

SCENARIOS = {
    "overhead": scenarios.overhead,
    "throughput": scenarios.throughput,
    "overload": scenarios.overload,
    "reloads": scenarios.reloads,
    "peers": peers,
}


def main() -> None:
    """Run the scenarios named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks service", description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="all where none is named")
    parser.add_argument("--seconds", type=float, default=60, help="of load in each scenario")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--cache", type=Path, help="default: MRL_BENCH_DIR, else .bench")
    options = parser.parse_args()
    root = served_index(cache_folder(options.cache), options.rows)
    results = {}
    for name in options.scenarios or (name for name in SCENARIOS if name != "peers"):
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = SCENARIOS[name](root, options.seconds)
        print(results[name], file=sys.stderr, flush=True)
    if "peers" in results:  # a separate comparison that takes minutes
        save("service_peers", {"rows": options.rows, **results.pop("peers")})
    if not options.scenarios:  # a partial run is not a result
        save("service", {"rows": options.rows, **results})
