"""Vision models and text-image models of the CLIP kind, through sentence-transformers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

from models.encoders.base import Prompts
from models.encoders.transformer import SentenceTransformerEncoder
from models.errors import InvalidOptionError
from models.nesting import Nesting, Vectors, truncate

_IMAGE_BATCH = 32
# What decides the pixels a model sees, by the names of transformers' image processors. Their other settings name
# classes and versions, which may change under the same pixels.
_PIXEL_SETTINGS = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std",
)  # fmt: skip


class ImageModelEncoder(SentenceTransformerEncoder):
    """A model with an image side, and in CLIP's kind (CLIP, SigLIP) a text side in the same space.

    Documents are images or texts, queries too. A vision model without a text side refuses texts.
    """

    def __init__(self, name: str, model: SentenceTransformer, nesting: Nesting | None, prompts: Prompts) -> None:
        super().__init__(name, model, nesting, prompts)
        first = model[0]
        if first.model.config.model_type.startswith("siglip"):
            # SigLIP reads a text off its last position and was trained on texts padded to one length.
            first.processing_kwargs = {"text": {"padding": "max_length"}}
        if first.module_output_name == "token_embeddings" and hasattr(first.model, "pooler"):
            # Unused, absent from many model files and then drawn by chance, which content_hash would show.
            first.model.pooler = torch.nn.Identity()

    @classmethod
    def of(cls, encoder: SentenceTransformerEncoder) -> Self:
        """Take over a loaded model."""
        return cls(encoder.name, encoder.model, encoder.nesting, encoder.prompts)

    @cached_property
    def content_hash(self) -> str:
        """sha256 over every weight, the tokenizer, the prompts and how images become pixels."""
        processor = getattr(self.model[0].processor, "image_processor", self.model[0].processor)
        settings: dict[str, Any] = {key: getattr(processor, key, None) for key in _PIXEL_SETTINGS}
        text = json.dumps(settings, sort_keys=True, default=dict)
        return hashlib.sha256((super().content_hash + text).encode()).hexdigest()

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode images; see :class:`models.encoders.base.ImageEncoder`."""
        return self._unit([{"image": image} for image in images])

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        if texts and "text" not in self.model.modalities:
            raise InvalidOptionError(
                "query", f"model {self.name!r} encodes images only, not {texts[0]!r:.80}: give an image"
            )
        # Named a text, because sentence-transformers would fetch a bare one that looks like an image's address.
        return self._unit([{"text": prompt + text} for text in texts])

    def _unit(self, inputs: Sequence[dict[str, Any]]) -> Vectors:
        with torch.inference_mode():
            vectors = self.model.encode(
                list(inputs), batch_size=_IMAGE_BATCH, show_progress_bar=False, convert_to_numpy=True
            )
        return truncate(vectors.reshape(len(inputs), self.dimension), self.dimension)
