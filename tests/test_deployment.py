"""docker/ matches the program: names of settings and metrics, pins, and the privileges of containers."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from service.settings import Settings
from service.telemetry.metrics import IndexGauges, Metrics

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yml").read_text())
ALERTS = yaml.safe_load((DOCKER / "monitor/alerts.yml").read_text())
DASHBOARD = json.loads((DOCKER / "monitor/grafana/dashboards/mrl.json").read_text())
DEPLOYMENTS = ["Dockerfile", "compose.yml", "compose.gpu.yml", *map(str, DOCKER.glob("kubernetes/*.yaml"))]
OWN_VARIABLES = {"MRL_IMAGE", "MRL_MODEL", "MRL_PUBLISH"}
"""Variables of the compose file that are not settings of the service."""


@pytest.fixture(scope="module")
def exported_metrics(index):
    metrics = Metrics()
    gauges = {"documents": 1, "updates": 0, "files_bytes": 1, "free_bytes": 1}
    metrics.watch_index(lambda: IndexGauges(generation="000001", watch=index.watch.facts(), **gauges))
    return set(re.findall(r"^# TYPE (\S+)", metrics.text().decode(), re.MULTILINE))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_settings_named_by_deployments_exist(name):
    known = {f"MRL_{field.upper()}" for field in Settings.model_fields} | OWN_VARIABLES
    assert set(re.findall(r"\bMRL_[A-Z_]+", (DOCKER / name).read_text())) <= known


@pytest.mark.parametrize("source", ["alerts", "dashboard"])
def test_watched_metrics_are_exported(source, exported_metrics):
    if source == "alerts":
        expressions = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    else:
        expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    named = {name for expression in expressions for name in re.findall(r"\b(?:mrl|process)_[a-z_]+", expression)}
    assert named
    for name in named:
        family = re.sub(r"_(bucket|count|sum|total)$", "", name)
        assert {name, family, f"{family}_total"} & exported_metrics, name


def test_every_alert_is_explained():
    page = (ROOT / "docs/operations.md").read_text()
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["alert"] in page


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_containers_have_few_privileges(name):
    service = COMPOSE["services"][name]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert "privileged" not in service
    if name != "grafana":
        assert service["read_only"]
    tag = service["image"].rpartition(":")[2]
    assert "adaptive-retrieval" in service["image"] or re.match(r"v?\d+\.\d+\.\d+", tag), (
        "third-party images are pinned"
    )


def test_no_secret_has_a_default():
    text = (DOCKER / "compose.yml").read_text()
    for line in re.findall(r"\$\{MRL_API_KEY[^}]*\}", text):
        assert line.startswith("${MRL_API_KEY:?")
    assert "GRAFANA_PASSWORD:-}" in text, "an empty password is refused at start"


def test_the_image_runs_unprivileged():
    dockerfile = (DOCKER / "Dockerfile").read_text()
    final = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.search(r"^USER mrl$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "# syntax" not in dockerfile


@pytest.mark.parametrize("kind", ["serve", "full"])
def test_requirements_are_pinned_without_a_source(kind):
    lines = (DOCKER / f"requirements-{kind}.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9.\-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = {line.partition("==")[0] for line in lines}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[A-Za-z0-9_.\-]+", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    training = {"matplotlib", "scikit-learn", "sentence-transformers", "torch"}
    assert names - training <= pinned
    assert (training <= pinned) == (kind == "full")
    assert ("torch" in pinned) == (kind == "full")


def test_serving_does_not_import_what_training_needs():
    """So that the image without training's packages can serve."""
    import subprocess
    import sys

    program = (
        "import sys, service.http.server, service.cli, indexer\n"
        "print([name for name in ('torch', 'sentence_transformers', 'sklearn', 'matplotlib', 'transformers') "
        "if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
