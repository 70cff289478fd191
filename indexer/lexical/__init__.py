"""Lexical search: BM25 over the words of documents' payloads."""

from indexer.lexical.base import LEXICAL_FILES, LexicalIndex, write_lexical
from indexer.lexical.options import LexicalOptions
from indexer.lexical.words import Words

__all__ = ["LEXICAL_FILES", "LexicalIndex", "LexicalOptions", "Words", "write_lexical"]
