"""Entry point of the ``mrl`` command."""

from __future__ import annotations

import sys

import typer

from models import AdaptiveRetrievalError
from service.commands import adapt, classify, demo, distill, evaluate, index, keys, search, serve, train
from service.commands.output import fail

app = typer.Typer(
    name="mrl",
    help="Train Matryoshka embeddings, index a corpus with them, and search it coarse-to-fine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("distill")(distill.distill)
app.command("adapt")(adapt.adapt)
app.add_typer(index.app, name="index")
app.command("search")(search.search)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command("classify")(classify.classify)
app.command("evaluate")(evaluate.evaluate)
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command; errors of this project, and lack of memory, are one line on standard error and exit status 1."""
    try:
        app(prog_name="mrl")
    except AdaptiveRetrievalError as error:
        fail("; ".join([str(error), *getattr(error, "__notes__", ())]))
        sys.exit(1)
    except MemoryError as error:
        fail(f"out of memory ({str(error) or 'none is left'}): give the command more memory, or less data")
        sys.exit(1)
