"""The model an index was built with, loaded when it is first needed."""

from __future__ import annotations

import threading
from pathlib import Path

from indexer.errors import ModelMismatchError
from indexer.storage.manifest import ModelFacts
from models.encoders.base import Encoder
from models.encoders.load import load_encoder


class RecordedModel:
    """Finds the model a manifest names, and refuses any other."""

    def __init__(self, root: Path, facts: ModelFacts, encoder: Encoder | None, place: str | None, device: str) -> None:
        """Say where it is.

        Args:
            root: the index directory.
            facts: of the manifest.
            encoder: the model, where it is loaded already.
            place: where it is now, if it has moved.
            device: where it runs.

        Raises:
            ModelMismatchError: ``encoder`` is not the model of the index.
        """
        self.facts = facts
        self._root, self._place, self._device = root, place, device
        self._encoder = encoder
        self._loading = threading.Lock()
        if encoder is not None:
            self._check(encoder)

    @property
    def encoder(self) -> Encoder:
        """The model.

        Raises:
            ModelError: it is not where it was.
            ModelMismatchError: what is there is another.
        """
        with self._loading:
            if self._encoder is None:
                encoder = load_encoder(
                    self._place or self.facts.name,
                    nesting=self.facts.nesting,
                    query_prompt=self.facts.query_prompt,
                    document_prompt=self.facts.document_prompt,
                    device=self._device,
                )
                self._check(encoder)
                self._encoder = encoder
            return self._encoder

    def of(self, facts: ModelFacts) -> RecordedModel:
        """Return the model of another generation: this one where it is the same, so that it is not loaded again."""
        if facts.content_hash == self.facts.content_hash:
            return self
        return RecordedModel(self._root, facts, None, self._place, self._device)

    def _check(self, encoder: Encoder) -> None:
        if encoder.content_hash != self.facts.content_hash:
            raise ModelMismatchError(
                f"{self._root} was built with model {self.facts.name!r} (content {self.facts.content_hash[:12]}), the "
                f"query encoder is {encoder.name!r} (content {encoder.content_hash[:12]}): give the model it was built "
                "with by --model, or build the index again with this one"
            )
