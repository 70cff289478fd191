"""Reading and writing manifests, by themselves; ``tests/formats`` reads those of earlier versions."""

import hashlib
import json
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel

from indexer.errors import BundleCorruptError, BundleFormatError
from indexer.plan import SCAN, FunnelStage
from indexer.storage.manifest import (
    CalibratedPlan,
    CalibrationFacts,
    CorpusFacts,
    Manifest,
    ModelFacts,
    ShortlistFacts,
    TargetFacts,
    file_facts,
    library_versions,
)
from models import Prompts
from tests.conftest import DIMENSION, make_encoder

PAGE = (Path(__file__).parents[3] / "docs" / "format.md").read_text(encoding="utf-8")
PLAN = CalibratedPlan(
    k=10,
    structure=SCAN,
    dims=DIMENSION,
    candidates=10,
    effort=None,
    stages=(FunnelStage(dims=DIMENSION, keep=10),),
    recall=1,
    recall_low=1,
    milliseconds=0.1,
)


@pytest.fixture
def manifest(tmp_path):
    """A manifest of two small files, written to the test's folder."""
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode())
    manifest = Manifest(
        index_id=UUID(int=5),
        created=datetime(2026, 1, 2, tzinfo=UTC),
        model=ModelFacts.of(make_encoder(prompts=Prompts(query="q: ", document="d: "))),
        dimension=DIMENSION,
        rows=3,
        documents=3,
        vectors="float16",
        shortlist=ShortlistFacts(kind="flat", dims=16, options={}),
        corpus=CorpusFacts(files=[], rejected=0),
        versions=library_versions(),
        files={name: file_facts(tmp_path / name) for name in ("a.bin", "b.bin")},
    )
    manifest.write(tmp_path)
    return manifest


def change(folder, **fields):
    """Change fields of the manifest, and drop its checksum."""
    path = folder / "manifest.json"
    content = {**json.loads(path.read_text()), **fields}
    content.pop("checksum")
    path.write_text(json.dumps(content))


def test_a_manifest_is_read_as_it_was_written(manifest, tmp_path):
    assert Manifest.read(tmp_path) == Manifest.read(str(tmp_path)) == manifest
    assert manifest.model.prompts == Prompts(query="q: ", document="d: ")
    assert manifest.model.nesting == make_encoder().nesting
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "a.bin", "b.bin"}


def test_the_versions_include_the_libraries_of_the_shortlist_structures():
    pytest.importorskip("rabitqlib")
    found = library_versions()
    assert found["rabitqlib"] == version("rabitqlib")
    assert found.keys() & {"faiss-cpu", "faiss-gpu-cuvs"}


def test_the_checksum_is_of_the_file_without_it(manifest, tmp_path):
    whole = (tmp_path / "manifest.json").read_text()
    found = re.search(r',\n  "checksum": "(\w+)"', whole)
    assert hashlib.sha256(whole.replace(found[0], "").encode()).hexdigest() == found[1]
    for damaged in (whole.replace('"rows": 3', '"rows": 4'), whole.replace(found[1], "0" * 64), whole + " "):
        (tmp_path / "manifest.json").write_text(damaged)
        with pytest.raises(BundleCorruptError, match=r"manifest.json does not match its checksum: restore it"):
            Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("version", "advice"), [(0, "build"), (1, "build the index again"), (None, "build"), ("3", "build"), (4, "upgrade")]
)
def test_another_format_version_is_refused_with_both_named(manifest, tmp_path, version, advice):
    change(tmp_path, format_version=version)
    with pytest.raises(
        BundleFormatError, match=f"has format version {version!r}, this program reads 2 and 3: {advice}"
    ):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"passages": {"length": 200}}, "passages"),
        ({"query_encoder": {"name": "other"}}, "query_encoder"),
        ({"default_search": "hybrid"}, "default_search"),
        ({"shards": 4}, "shards"),
        ({"corpus": {"files": [], "rejected": 0, "vector_field": "v"}}, "corpus.vector_field"),
    ],
)
def test_a_field_of_a_later_version_is_refused_by_name(manifest, tmp_path, fields, named):
    change(tmp_path, **fields)
    with pytest.raises(BundleFormatError, match=rf"does not support \({named}\): upgrade this program"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", BundleCorruptError),
        (b"[]", BundleFormatError),
        (b'{"format_version": 2}', BundleFormatError),
        (b'{"format_version": 3}', BundleFormatError),
        (b"\xff", BundleCorruptError),
    ],
)
def test_an_invalid_manifest_is_refused(tmp_path, content, error):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(error, match=r"manifest.json"):
        Manifest.read(tmp_path)


def test_a_missing_manifest_is_refused_with_the_way_back(tmp_path):
    with pytest.raises(BundleCorruptError, match=r"manifest.json is missing: .* mrl index rollback"):
        Manifest.read(tmp_path)


def test_sizes_are_compared_on_reading(manifest, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"longer than before")
    with pytest.raises(BundleCorruptError, match=r"a.bin has 18 bytes, the manifest says 5 bytes"):
        Manifest.read(tmp_path)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(BundleCorruptError, match=r"a.bin is missing, the manifest says 5 bytes"):
        Manifest.read(tmp_path)
    assert Manifest.read_alone(tmp_path) == manifest


def test_checksums_are_compared_on_checking(manifest, tmp_path):
    manifest.check(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"B.bin")
    assert manifest.differing_files(tmp_path) == ["b.bin"]
    manifest.check(tmp_path, ["a.bin"])
    with pytest.raises(BundleCorruptError, match=r"b.bin differ from the manifest: restore them"):
        manifest.check(tmp_path)
    (tmp_path / "b.bin").unlink()
    with pytest.raises(BundleCorruptError, match="cannot read"):
        manifest.check(tmp_path)


def test_plans_are_those_of_the_calibration(manifest):
    assert manifest.plans == ()
    facts = CalibrationFacts(
        created=manifest.created, queries="sampled", kinds={}, confidence=0.95, cores=2, seconds=1, plans=(PLAN,)
    )
    assert manifest.model_copy(update={"calibration": facts}).plans == (PLAN,)
    assert PLAN.exact
    assert not PLAN.model_copy(update={"dims": 16}).exact
    assert not PLAN.model_copy(update={"structure": "flat"}).exact


def fields_of(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def test_the_page_lists_every_field_with_its_default():
    cells = [[cell.strip() for cell in line.split("|")] for line in PAGE.splitlines() if line.startswith("| `")]
    table = {name.strip("`"): default for _, name, _, default, since, *_ in cells if since in ("2", "3")}
    assert table.keys() == fields_of(Manifest)
    for name, field in Manifest.model_fields.items():
        if name == "format_version":  # always written
            continue
        default = {None: "null"}.get(field.default, f"`{field.default}`")
        assert table[name] == ("" if field.is_required() else default), name
    for model in (ModelFacts, ShortlistFacts, CorpusFacts, CalibrationFacts, CalibratedPlan, TargetFacts):
        assert all(f"`{name}`" in PAGE for name in fields_of(model)), model
