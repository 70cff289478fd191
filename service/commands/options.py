"""Arguments and options that several commands share, as annotated types: one name, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.data.rows import ROW_SUFFIXES

ROWS = f"{', '.join(ROW_SUFFIXES[:-1])} or {ROW_SUFFIXES[-1]}"
"""Kinds of files of rows, for help texts."""
LABELLED_TEXTS, PAIRS, TRAINING, EXPLICIT_PLAN = "Labelled texts", "Pairs", "Training", "Explicit plan"
"""Panels of the help that group options."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="Device the model runs on: auto, cpu or cuda.")]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Restart = Annotated[bool, typer.Option("--restart", help="Overwrite an earlier run in --out instead of resuming it.")]

# An index and its corpus.
IndexPath = Annotated[Path, typer.Argument(help="Index directory.", show_default=False)]
ModelLocation = Annotated[str | None, typer.Option(help="New location of the index's model, if it has moved.")]
Generation = Annotated[str | None, typer.Option(help="Name of a generation. Default: the published one.")]
CorpusPaths = Annotated[
    list[Path],
    typer.Argument(
        help=f"Corpus: files ({ROWS}), a BEIR folder, or folders of text or image files.", show_default=False
    ),
]
IdField = Annotated[str | None, typer.Option(help="Field of the document id. Default: _id, else id.")]
TextField = Annotated[str, typer.Option(help="Field of the text.")]
TitleField = Annotated[str, typer.Option(help="Field of the title, which is put in front of the text.")]
EncodingBatch = Annotated[int, typer.Option(help="Rows to encode and write in one batch.")]
Keep = Annotated[int, typer.Option(help="Number of generations to keep, the new one included.")]

# The plan of a search.
SearchEffort = Annotated[
    int | None,
    typer.Option(
        "--effort", help="Search effort of the shortlist structure (HNSW: efSearch).", rich_help_panel=EXPLICIT_PLAN
    ),
]

# Training data.
TextFiles = Annotated[list[Path], typer.Argument(help=f"Files of texts: {ROWS}.", show_default=False)]
QueryField = Annotated[str, typer.Option(help="Field of the query.", rich_help_panel=PAIRS)]
DocumentField = Annotated[str, typer.Option(help="Field of the document.", rich_help_panel=PAIRS)]
LabelledTextField = Annotated[
    str, typer.Option("--text-field", help="Field of the text.", rich_help_panel=LABELLED_TEXTS)
]
LabelField = Annotated[str, typer.Option(help="Field of the label.", rich_help_panel=LABELLED_TEXTS)]
SplitField = Annotated[
    str, typer.Option(help="Field of the split: train, valid or test.", rich_help_panel=LABELLED_TEXTS)
]

# Training.
Steps = Annotated[int, typer.Option(help="Maximum number of training steps.", rich_help_panel=TRAINING)]
LossWeights = Annotated[
    str | None, typer.Option("--weights", help="Loss weight of each size. Default: 1 each.", rich_help_panel=TRAINING)
]
Temperature = Annotated[
    float, typer.Option(help="Softmax temperature of the contrastive loss.", rich_help_panel=TRAINING)
]
Validation = Annotated[float, typer.Option(help="Share of the data held out for validation.", rich_help_panel=TRAINING)]
