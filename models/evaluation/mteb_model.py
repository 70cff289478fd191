"""Evaluates an encoder on MTEB (extra ``mteb``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from mteb.types import PromptType

from models.encoders.base import Encoder
from models.encoders.load import load_encoder
from models.errors import InvalidOptionError, ModelError
from models.nesting import Vectors, truncate

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import BatchedInput
    from torch.utils.data import DataLoader


class MtebModel(AbsEncoder):  # type: ignore[misc]  # the library is optional, its types unknown
    """An encoder as MTEB's ``EncoderProtocol``.

    Queries get the model's query prompt, everything else its document prompt. MTEB keeps the results of each
    ``dimensions`` apart, and uses the model's content hash as its revision.

    >>> mteb.evaluate(MtebModel("my-model", dimensions=64), tasks)
    """

    def __init__(
        self,
        model_name: str | Encoder,
        revision: str | None = None,
        *,
        device: str | None = None,
        dimensions: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Load the model.

        Args:
            model_name: a name for :func:`models.load_encoder`, or an encoder.
            revision: must be the content hash, if given.
            device: the encoder's device; if None, the GPU if there is one.
            dimensions: size to truncate vectors to before normalisation; if None, the full dimension.
            kwargs: further arguments of :func:`models.load_encoder`.

        Raises:
            InvalidOptionError: ``dimensions`` is not between 1 and the model's dimension.
            ModelError: there is no such model, or it has another revision.
        """
        self.encoder = (
            load_encoder(model_name, device=device or "auto", **kwargs) if isinstance(model_name, str) else model_name
        )
        self.dimensions = self.encoder.dimension if dimensions is None else dimensions
        if not 1 <= self.dimensions <= self.encoder.dimension:
            raise InvalidOptionError(
                "dimensions", f"dimensions {dimensions}: model {self.encoder.name!r} has 1 to {self.encoder.dimension}"
            )
        if revision not in (None, self.encoder.content_hash):
            raise ModelError(
                f"revision {revision} of model {self.encoder.name!r} is not available: its content hash is "
                f"{self.encoder.content_hash}"
            )
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"adaptive-retrieval/{Path(self.encoder.name).name}",
                "revision": self.encoder.content_hash,
                "embed_dim": self.dimensions,
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": bool(self.encoder.prompts.query or self.encoder.prompts.document),
                "experiment_kwargs": None if dimensions is None else {"dimensions": dimensions},
            }
        )

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> Vectors:
        """Encode batches of texts.

        Args:
            inputs: batches with a list of texts under ``text``.
            task_metadata, hf_split, hf_subset: ignored.
            prompt_type: query or document; document if None.
            kwargs: ignored; ``inputs`` determines the batches.

        Returns:
            float32, shape (texts, dimensions), unit rows.

        Raises:
            ModelError: a batch has no texts.
        """
        encode = self.encoder.encode_queries if prompt_type == PromptType.query else self.encoder.encode_documents
        found = []
        for batch in inputs:
            if "text" not in batch:
                raise ModelError(f"a batch of {', '.join(sorted(batch))}: only texts can be evaluated")
            found.append(truncate(encode(batch["text"]), self.dimensions))
        return np.concatenate(found) if found else np.empty((0, self.dimensions), np.float32)
