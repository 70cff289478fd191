"""The model an index was built with, loaded on first use."""

from __future__ import annotations

import threading
from pathlib import Path

from indexer.errors import ModelMismatchError
from indexer.storage.manifest import ModelFacts
from models.encoders.base import Encoder
from models.encoders.load import load_encoder


class RecordedModel:
    """Loads the model that a manifest names, and refuses any other. Thread-safe."""

    def __init__(
        self, root: str | Path, facts: ModelFacts, encoder: Encoder | None, place: str | None, device: str
    ) -> None:
        """Take an encoder, or what is needed to load it.

        Args:
            root: the index directory, for messages.
            facts: of the manifest.
            encoder: the model, if it is already loaded.
            place: its directory or name if it has moved; the manifest's name if None.
            device: device to run on.

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
            ModelError: it cannot be found or loaded.
            ModelMismatchError: the model of that name has another content.
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
        """Return the model of another generation, which is this object if the content is the same."""
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
