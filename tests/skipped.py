"""A pytest plugin: the last line of a run says how many tests were skipped, and why."""

from collections import Counter


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    seed = getattr(config.option, "randomly_seed", None)
    if seed is not None and (reporter.stats.get("failed") or reporter.stats.get("error")):
        reporter.write_line(f"this order again: pytest -p randomly --randomly-seed={seed}")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ()))
    told = "; ".join(f"{count} because {reason}" for reason, count in reasons.most_common())
    reporter.write_line(f"skipped: {reasons.total()}" + (f" ({told})" if told else ""))
