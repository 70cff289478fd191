"""A model as MTEB evaluates it (extra ``mteb``): ``mteb.evaluate(MtebModel("my-model", dimensions=64), tasks)``."""

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
    """MTEB's ``EncoderProtocol`` around an encoder of this project.

    Queries get the model's prompt for queries, all else that for documents. MTEB keeps the results of each
    ``dimensions`` apart, and takes the model's content hash for its revision.
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
            model_name: what :func:`models.load_encoder` takes, or an encoder.
            revision: for MTEB; refused where it is not the content hash.
            device: where the encoder runs; a GPU where there is one, if None.
            dimensions: the size vectors are cut to, then normalised; the full size where None.
            kwargs: further arguments of :func:`models.load_encoder`.

        Raises:
            InvalidOptionError: ``dimensions`` is not a size of the model.
            ModelError: no such model, or another revision of it.
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
                f"revision {revision} was asked for: model {self.encoder.name!r} has the content hash "
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
            inputs: batches whose ``text`` is a list.
            task_metadata, hf_split, hf_subset: not looked at: the model has one prompt a kind of text.
            prompt_type: whether they are queries or documents; documents where None.
            kwargs: not looked at; batches come as ``inputs`` cuts them.

        Returns:
            float32, shape (texts, dimensions), unit rows.

        Raises:
            ModelError: a batch without texts.
        """
        encode = self.encoder.encode_queries if prompt_type == PromptType.query else self.encoder.encode_documents
        found = []
        for batch in inputs:
            if "text" not in batch:
                raise ModelError(f"a batch of {', '.join(sorted(batch))}: only texts are evaluated here")
            found.append(truncate(encode(batch["text"]), self.dimensions))
        return np.concatenate(found) if found else np.empty((0, self.dimensions), np.float32)
