"""Everything that the documentation of version 0.1.0 told users to import or run still works.

The lines below are copied from that version's README, docs, model cards, help texts, Makefile and docker/. They are
literal on purpose: when a module moves, its documented path must keep working, and editing a line here is not a fix.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORTS = {
    "README.md": """
from pathlib import Path

from indexer import Corpus, Document, Index, SearchOptions, build_index, parse_filter
from models import load_encoder
from service.client import Client
""",
    "docs/clients.md": """
from service.client import Client
from service.client import Client, NotFoundError
from service.client import AsyncClient, Retries
from indexer import Index
""",
    "model card of a text encoder": """
from models import load_encoder, truncate
""",
    "model card of a text classifier": """
from models.classifier import Classifier
Classifier.load, Classifier.classify
""",
    "model card of an image classifier": """
from pathlib import Path

from models.classifier import Classifier
from models.images import read_image
Classifier.load, Classifier.classify_vectors
""",
    "help of mrl adapt": """
import models.adapter
models.adapter.Adapter.load, models.adapter.Adapter.apply
""",
    "exported by models": """
from models import AdaptiveRetrievalError, DataError, Encoder, InvalidOptionError, ModelError, Nesting, Prompts
from models import TrainingError, load_encoder, truncate
""",
    "exported by indexer": """
from indexer import BuildError, BuildOptions, BuildResult, BundleError, CalibrationOptions, Corpus, Document, Fields
from indexer import FunnelStage, Generations, Hit, HybridOptions, Index, LexicalOptions, ModelMismatchError, Plan, Put
from indexer import SearchOptions, SearchResult, SecondLook, SnapshotResult, Stage, StopRule, Target, Updates, Upserted
from indexer import WatchOptions, append_corpus, build_index, calibrate_index, compact_index, evaluate_index
from indexer import parse_filter, read_judged, snapshot_index, update_facts, watch_facts
""",
    "exported by service": """
from service import Settings, create_app
""",
    "docker/smoke.sh": """
import json
from service.demo.docstrings import read_docstrings
""",
}

OPTIONAL_IMPORTS = {
    "langchain_core": "from service.integrations.langchain import AdaptiveRetriever",
    "llama_index.core": "from service.integrations.llama_index import AdaptiveRetriever",
    "haystack": "from service.integrations.haystack import AdaptiveRetriever",
    "mteb": "from models.mteb_model import MtebModel",
}
"""By the library that each needs: docs/clients.md's retrievers and its wrapper for MTEB."""

COMMANDS = {
    "Makefile": "-m service.openapi openapi.json",
    "docs/representation.md": "-m service train --help",
}


def run(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_documented_imports_work(tmp_path):
    run("-c", "\n".join(IMPORTS.values()), folder=tmp_path)


@pytest.mark.parametrize("library", OPTIONAL_IMPORTS)
def test_documented_imports_of_integrations_work(library, tmp_path):
    statement = OPTIONAL_IMPORTS[library]
    if importlib.util.find_spec(library.split(".")[0]):
        run("-c", statement, folder=tmp_path)
    else:  # The module is still there: what is missing is the library, not our path.
        assert importlib.util.find_spec(statement.split()[1]), statement


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_documented_commands_work(command, tmp_path):
    run(*command.split(), folder=tmp_path)
