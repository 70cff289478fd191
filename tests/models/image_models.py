"""Tiny models with an image side and random weights, and real images to show them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)  # fmt: skip

SIDE = 16
DIMENSION = 32
DIGIT_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_VISION = {**_LAYERS, "image_size": SIDE, "patch_size": 4}
_SQUARE = {"height": SIDE, "width": SIDE}


def digits(count: int | None = None) -> tuple[list[Image.Image], list[int]]:
    """Scikit-learn's digits: 1,797 grey images of 8 × 8 pixels, and their labels."""
    data = load_digits()
    images = [Image.fromarray((image * 15.9).astype(np.uint8)) for image in data.images[:count]]
    return images, data.target[:count].tolist()


def write_digits(folder: Path, count: int | None = None, start: int = 0) -> Path:
    """Write digits as PNG files of a folder for each label."""
    for number, (image, label) in enumerate(zip(*digits(count), strict=True)):
        if number >= start:
            path = folder / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return folder


def make_clip(path: Path) -> Path:
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=_text(), vision_config=_VISION, projection_dim=DIMENSION))
    model.save_pretrained(path)
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    CLIPProcessor(processor, _tokenizer()).save_pretrained(path)
    return path


def make_siglip(path: Path) -> Path:
    torch.manual_seed(0)
    config = SiglipConfig(text_config={**_text(), "projection_size": DIMENSION}, vision_config=_VISION)
    SiglipModel(config).save_pretrained(path)
    SiglipProcessor(SiglipImageProcessorPil(size=_SQUARE), _tokenizer()).save_pretrained(path)
    return path


def make_vit(path: Path) -> Path:
    torch.manual_seed(0)
    ViTModel(ViTConfig(**_VISION), add_pooling_layer=False).save_pretrained(path)
    ViTImageProcessorPil(size=_SQUARE).save_pretrained(path)
    return path


def _vocabulary() -> list[str]:
    return ["<pad>", "<unk>", "<s>", "</s>", *DIGIT_WORDS, "a", "photo", "of"]


def _text() -> dict:
    ids = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    return {**_LAYERS, "vocab_size": len(_vocabulary()), "max_position_embeddings": SIDE, **ids}


def _tokenizer() -> PreTrainedTokenizerFast:
    words = {word: number for number, word in enumerate(_vocabulary())}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=SIDE, model_input_names=["input_ids"], **special
    )
