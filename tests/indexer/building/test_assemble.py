import json
from uuid import UUID

import numpy as np
import pytest

from indexer.building.assemble import GenerationFacts, assemble, prepare
from indexer.corpus import Place
from indexer.errors import BundleStorageError
from indexer.lexical import LEXICAL_FILES, LexicalOptions
from indexer.progress import BuildingLexicalIndex, BuildingShortlist, ComputingChecksums
from indexer.search.generation import OpenedGeneration
from indexer.storage.documents import DocumentWriter, StoredDocument
from indexer.storage.manifest import CorpusFacts, Manifest, ModelFacts, OptionFacts, ShortlistFacts, TargetFacts
from indexer.storage.vectors import VectorWriter
from models import truncate
from tests.conftest import DIMENSION, make_encoder, make_texts

TEXTS = [*make_texts(20), make_texts(1)[0]]
FLAT = ShortlistFacts(kind="flat", dims=8, options={})


@pytest.fixture
def folder(tmp_path):
    """Documents and vectors of a generation, the last vector equal to the first."""
    with DocumentWriter(tmp_path / "documents.sqlite") as documents:
        documents.commit([StoredDocument(str(i), {"text": text}) for i, text in enumerate(TEXTS)], [], Place())
        documents.finish()
    with VectorWriter(tmp_path / "vectors.npy", DIMENSION, "float16") as vectors:
        vectors.append(make_encoder().encode_documents(TEXTS))
        vectors.finish(len(TEXTS))
    (tmp_path / "rejected.jsonl").write_text("")
    return tmp_path


@pytest.fixture
def facts():
    return GenerationFacts(
        index_id=UUID(int=7),
        model=ModelFacts.of(make_encoder()),
        corpus=CorpusFacts(files=[], rejected=0),
        options=OptionFacts(given={"dims": 8}, chosen=("shortlist",)),
        vectors="float16",
        lexical=LexicalOptions(fields=("text",)),
    )


def make(folder, facts, structure=FLAT, target=None):
    events = []
    stored, distinct = prepare(folder, len(TEXTS), DIMENSION)
    made = assemble(folder, stored, distinct, facts, structure=structure, target=target, report=events.append)
    return made, events


def test_equal_vectors_are_found_and_saved_before_a_structure_is_chosen(folder):
    stored, distinct = prepare(folder, len(TEXTS), DIMENSION)
    assert (len(stored), len(distinct)) == (21, 20)
    assert (folder / "distinct.safetensors").exists()
    assert not (folder / "manifest.json").exists()


def test_the_generation_is_complete_and_its_manifest_says_how_it_was_made(folder, facts):
    target = TargetFacts(recall=0.9, milliseconds=None, memory=None, considered=())
    manifest, _ = make(folder, facts, target=target)
    assert Manifest.read(folder) == manifest
    assert (manifest.index_id, manifest.rows, manifest.documents) == (UUID(int=7), 21, 21)
    assert (manifest.shortlist, manifest.target, manifest.options) == (FLAT, target, facts.options)
    assert (manifest.model, manifest.corpus, manifest.calibration) == (facts.model, facts.corpus, None)
    opened = OpenedGeneration(folder, verify="all")
    assert len(opened.vectors) == 21
    assert opened.lexical is not None
    opened.close()


def test_prefix_norms_are_those_of_the_unit_rows(folder, facts):
    make(folder, facts)
    rows = truncate(np.load(folder / "vectors.npy").astype(np.float32), DIMENSION)
    norms = np.fromfile(folder / "prefix_norms.f32", "<f4")
    np.testing.assert_allclose(norms, np.linalg.norm(rows[:, :8], axis=1), rtol=1e-6)


def test_without_lexical_options_no_words_are_indexed(folder, facts):
    words = {name: getattr(facts, name) for name in ("index_id", "model", "corpus", "options", "vectors")}
    manifest, events = make(folder, GenerationFacts(**words, lexical=None))
    assert manifest.lexical is None
    assert not set(manifest.files) & set(LEXICAL_FILES)
    assert not any(isinstance(event, BuildingLexicalIndex) for event in events)


def test_progress_is_reported_step_by_step(folder, facts):
    _, events = make(folder, facts)
    kinds = [type(event) for event in events]
    assert list(dict.fromkeys(kinds)) == [BuildingShortlist, BuildingLexicalIndex, ComputingChecksums]
    built = [event for event in events if isinstance(event, BuildingShortlist)]
    assert (built[0].done, built[-1].done, built[-1].total) == (0, 20, 20)


def test_a_structure_that_cannot_be_written_is_a_storage_error(folder, facts):
    (folder / "shortlist.faiss").mkdir()
    with pytest.raises(BundleStorageError, match=r"cannot write .*shortlist.faiss"):
        make(folder, facts)
    assert not (folder / "manifest.json").exists()


def test_options_of_the_structure_are_passed_on(folder, facts):
    structure = ShortlistFacts(kind="hnsw", dims=16, options={"links": 8})
    manifest, _ = make(folder, facts, structure)
    assert json.loads((folder / "manifest.json").read_text())["shortlist"]["options"]["links"] == 8
    assert manifest.shortlist == structure


def test_every_file_is_in_the_manifest_with_its_checksum(folder, facts):
    manifest = make(folder, facts)[0]
    assert manifest.differing_files(folder) == []
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *manifest.files}
    for name, facts in manifest.files.items():
        if facts.size:
            path = folder / name
            whole = path.read_bytes()
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            assert manifest.differing_files(folder) == [name]
            path.write_bytes(whole)
