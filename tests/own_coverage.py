"""How much of each module its own test file covers, alone: ``python -m tests.own_coverage [module path ...]``.

``models/encoders/static.py`` is tested by ``tests/models/encoders/test_static.py``. The exit status is 1 if a module
has no such file, or if its file covers less than 90 % of its lines and branches. The tests of compiled loops run a
second time uncompiled, so that their lines count. A module whose tests need an optional library that is not installed
is listed as skipped.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
WANTED = 90
_PACKAGES = ("models", "indexer", "service")
_DOES_NOTHING = ("__init__.py", "__main__.py")


def modules():
    """Every module with something to test, by path."""
    found = (path.relative_to(ROOT) for package in _PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if path.name not in _DOES_NOTHING)


def test_of(module):
    return Path("tests") / module.with_name(f"test_{module.name}")


def covered(module):
    """Percent of a module that its own test file covers, and the end of what pytest printed; None without
    a file, or where its tests were skipped."""
    test = test_of(module)
    if not (ROOT / test).exists():
        return None, ""
    with tempfile.TemporaryDirectory() as folder:
        data, report, rules = (Path(folder) / name for name in ("coverage", "report.json", "coveragerc"))
        lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["exclude_also"]
        rules.write_text("[report]\nexclude_also =\n" + "".join(f"    {line}\n" for line in lines))
        environment = {**os.environ, "COVERAGE_FILE": str(data)}
        command = [sys.executable, "-m", "coverage", "run", "--branch", "--append", f"--rcfile={rules}"]
        command += [f"--include={module}", "-m", "pytest", "-p", "no:cacheprovider", str(test)]
        compiled = re.search(r"^@compiled|^@intrinsic", (ROOT / module).read_text(), re.MULTILINE)
        for uncompiled in ({}, {"NUMBA_DISABLE_JIT": "1"}) if compiled else ({},):
            ran = subprocess.run(command, cwd=ROOT, env=environment | uncompiled, capture_output=True, text=True)
            if ran.returncode == 5 or (ran.returncode == 0 and "passed" not in ran.stdout):
                return None, "skipped"
            if ran.returncode:
                return 0.0, "\n".join(ran.stdout.strip().splitlines()[-3:])
        wrote = subprocess.run(
            [sys.executable, "-m", "coverage", "json", f"--rcfile={rules}", "-o", str(report)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if wrote.returncode:
            return 0.0, wrote.stdout + wrote.stderr
        files = json.loads(report.read_text())["files"]
        facts = files[str(module)]
        return facts["summary"]["percent_covered"], f"missing lines {facts['missing_lines']}"


def main():
    chosen = [Path(name) for name in sys.argv[1:]] or modules()
    short = 0
    for module in chosen:
        percent, told = covered(module)
        if percent is None:
            print(f"{module}: {told or f'no {test_of(module)}'}", flush=True)
            short += not told
        else:
            print(f"{module}: {percent:.1f} %" + (f"  {told}" if percent < WANTED else ""), flush=True)
            short += percent < WANTED
    print(f"{len(chosen)} modules, {short} covered by less than {WANTED} % or without a test file")
    return int(short > 0)


if __name__ == "__main__":
    sys.exit(main())
