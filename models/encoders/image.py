"""Vision models and CLIP-like text-image models, through sentence-transformers."""

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
# The settings of transformers' image processors that determine the pixels a model sees. Other settings name classes
# and versions, which may change while the pixels stay the same.
_PIXEL_SETTINGS = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std",
)  # fmt: skip


class ImageModelEncoder(SentenceTransformerEncoder):
    """A vision model, or a text-image model (CLIP, SigLIP) with images and texts in one vector space.

    Documents and queries are images or texts. A vision model without a text side refuses texts.
    """

    def __init__(self, name: str, model: SentenceTransformer, nesting: Nesting | None, prompts: Prompts) -> None:
        super().__init__(name, model, nesting, prompts)
        first = model[0]
        if first.model.config.model_type.startswith("siglip"):
            # SigLIP pools at the last position and was trained on texts padded to one length.
            first.processing_kwargs = {"text": {"padding": "max_length"}}
        if first.module_output_name == "token_embeddings" and hasattr(first.model, "pooler"):
            # Unused, and absent from many model files: random weights would then change content_hash at every load.
            first.model.pooler = torch.nn.Identity()

    @classmethod
    def of(cls, encoder: SentenceTransformerEncoder) -> Self:
        """Wrap the model of a loaded encoder."""
        return cls(encoder.name, encoder.model, encoder.nesting, encoder.prompts)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the weights, the tokenizer, the prompts and the image preprocessing."""
        processor = getattr(self.model[0].processor, "image_processor", self.model[0].processor)
        settings: dict[str, Any] = {key: getattr(processor, key, None) for key in _PIXEL_SETTINGS}
        text = json.dumps(settings, sort_keys=True, default=dict)
        return hashlib.sha256((super().content_hash + text).encode()).hexdigest()

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode images; see :class:`models.ImageEncoder`."""
        return self._unit([{"image": image} for image in images])

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        if texts and "text" not in self.model.modalities:
            raise InvalidOptionError(
                "query", f"model {self.name!r} encodes images only, not {texts[0]!r:.80}: give an image"
            )
        # Marked as text, because sentence-transformers would fetch a plain string that looks like an image's URL.
        return self._unit([{"text": prompt + text} for text in texts])

    def _unit(self, inputs: Sequence[dict[str, Any]]) -> Vectors:
        with torch.inference_mode():
            vectors = self.model.encode(
                list(inputs), batch_size=_IMAGE_BATCH, show_progress_bar=False, convert_to_numpy=True
            )
        return truncate(vectors.reshape(len(inputs), self.dimension), self.dimension)
