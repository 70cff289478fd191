"""Everything that the documentation of version 0.1.0 told users to import or run still works.

The lines below are copied from that version's README, docs, model cards, help texts, Makefile and docker/. They are
literal on purpose: when a module moves, its documented path must keep working, and editing a line here is not a fix.
"""

import importlib.util
import os
import shlex
import subprocess
import sys

import pytest
import typer

from service.cli import app
from tests.journeys.pages import ROOT, commands

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

COMMAND_LINES = """
mrl index build corpus.jsonl --out my-index --filterable year
mrl index build corpus.jsonl --out my-index --lexical
mrl index build corpus.jsonl --model my-model --out my-index
mrl index build photos/ --model openai/clip-vit-base-patch32 --out my-photos
mrl search my-index "why does the ocean rise and fall" -k 2
mrl search my-index "sun" --filter '{"year": {"$gte": 1995}}'
mrl search my-index "tides" --recall 0.95
mrl search my-index "tides" --milliseconds 0.5
mrl search my-index "yeast" --hybrid
mrl search my-index --image photo.jpg
mrl search my-photos "a dog on a beach"
mrl index inspect my-index
mrl index inspect my-index --plot plans.png
mrl index calibrate my-index
mrl index calibrate my-index --queries queries.txt
mrl index append my-index more.jsonl
mrl index delete my-index 2
mrl index compact my-index
mrl index compact my-index --keep 1
mrl index rollback my-index
mrl index rollback my-index --to 2
mrl index verify my-index
mrl index snapshot my-index backup
mrl index snapshot my-index backups/tuesday --copy
mrl serve my-index --auth off
mrl serve my-index --keys keys.json
mrl serve my-index --keys keys.json --tls-certificate fullchain.pem --tls-key key.pem
mrl serve --wait
mrl keys create search-page --scope read --keys keys.json
mrl keys create loader --scope read --scope write --days 90 --keys keys.json
mrl keys list --keys keys.json
mrl keys revoke search-page --keys keys.json
mrl train pairs.jsonl --base wordllama --out my-model
mrl train labelled.csv --sizes 8,16,32,64 --out my-classifier
mrl train digits/ --sizes 4,8,16,32,64 --out digits-model
mrl classify my-classifier "the sea is rising" "bake the bread"
mrl classify digits-model scans/ one-more.png
mrl adapt all-MiniLM-L6-v2 --data corpus.jsonl --pairs pairs.jsonl --out nested
mrl distill TEACHER texts.jsonl --out student
mrl distill all-MiniLM-L6-v2 debian.parquet packages.parquet --query-field summary --assistant wordllama \
    --max-minutes 38 --out student
mrl evaluate my-index --queries queries.jsonl --qrels qrels/test.tsv --dims 32,64,128,256
mrl evaluate my-model --data labelled.parquet --save figures.json --plots plots
mrl demo --out demo-output
"""

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


@pytest.mark.parametrize("line", commands(COMMAND_LINES))
def test_documented_command_lines_parse(line):
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)  # parses, and does not run it


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_documented_commands_work(command, tmp_path):
    run(*command.split(), folder=tmp_path)
