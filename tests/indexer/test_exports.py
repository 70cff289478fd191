import re
from pathlib import Path

import indexer

NAMES = """
APPEND_BATCH_SIZE
AUTO_SHORTLIST
HYBRID_VARIANTS
SHORTLIST_KINDS
BuildError
BuildOptions
BuildResult
BuildingLexicalIndex
BuildingShortlist
BundleBusyError
BundleCorruptError
BundleError
BundleFormatError
BundleNotFoundError
BundleStorageError
CalibratedPlan
Calibrating
CalibrationFacts
CalibrationOptions
ChoosingStructure
ComputingChecksums
Copying
Corpus
CorpusRow
Document
EncodingDocuments
Field
Fields
Filter
FunnelStage
Fusion
Generations
Hit
HybridOptions
Index
IndexStage
Journal
Judged
LexicalFacts
LexicalOptions
Manifest
ModelFacts
ModelMismatchError
OnError
OutOfMemoryError
Plan
Promise
PrunedError
Publishing
Put
RecordedModel
RejectedRowError
Score
SearchOptions
SearchResult
SecondLook
SnapshotResult
Stage
StopRule
Storage
StoredDocument
Target
TargetFacts
UpdateFacts
Updates
Upserted
Verify
WatchFacts
WatchOptions
append_corpus
build_index
calibrate_index
compact_index
cores
encode_documents
encode_images
evaluate_index
fsync
parse_document
parse_field
parse_filter
read_judged
read_queries
snapshot_index
update_facts
watch_facts
"""


def test_the_public_names_are_pinned():
    assert sorted(indexer.__all__) == sorted(NAMES.split())


def test_every_public_name_is_defined():
    assert [name for name in indexer.__all__ if not hasattr(indexer, name)] == []


def test_service_imports_public_names_only():
    root = Path(indexer.__file__).parent.parent / "service"
    submodules = re.compile(r"^\s*(?:from|import) indexer\.\S+.*$", re.MULTILINE)
    found = {str(path): submodules.findall(path.read_text(encoding="utf-8")) for path in root.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}
