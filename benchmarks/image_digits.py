"""MRL on images: top-1 at every size of one nested model, against a separate model for each size (FF), and MRL-E.

Scikit-learn's digits (1,797 images of 8 × 8 pixels); the last quarter, in the order of the data set, is the test
part: it was written by different people than the rest.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.report import save
from models import Nesting
from models.classifier.image_options import ImageTrainingOptions
from models.classifier.images import train_images
from models.data.labelled_images import list_labelled_images, split_labelled_images

SIZES = (4, 8, 16, 32, 64)
SEEDS = (0, 1, 2)
TESTED = 450


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        items = list_labelled_images(write(Path(folder)))
        found: dict[str, list[dict[int, float]]] = {"MRL": [], "MRL-E": [], "FF": []}
        for seed in SEEDS:
            parts = split_labelled_images(items, 0.1, seed)
            for name, kind in (("MRL", "mrl"), ("MRL-E", "mrl-e")):
                options = ImageTrainingOptions(kind=kind, nesting=Nesting(SIZES), seed=seed, device="cpu")
                found[name].append(train_images(parts, options).test)
            alone = [ImageTrainingOptions(kind="ff", nesting=Nesting((m,)), seed=seed, device="cpu") for m in SIZES]
            found["FF"].append({m: score for one in alone for m, score in train_images(parts, one).test.items()})
    rows = {
        name: {
            size: {"mean": float(np.mean(of_size)), "least": min(of_size), "most": max(of_size)}
            for size in SIZES
            for of_size in [[run[size] for run in runs]]
        }
        for name, runs in found.items()
    }
    save("image_digits", {"seeds": list(SEEDS), "tested": TESTED, "top-1": rows})


def write(folder: Path) -> Path:
    data = load_digits()
    for number, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        part = "train" if number < len(data.target) - TESTED else "test"
        path = folder / part / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(path)
    return folder


if __name__ == "__main__":
    main()
