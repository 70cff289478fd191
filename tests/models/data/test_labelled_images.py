import pytest

from models import DataError, InvalidOptionError
from models.data.labelled_images import LabelledImage, list_labelled_images, split_labelled_images


def test_folders_give_labels_and_splits(tmp_path):
    for name in ("train/a/x/1.png", "train/b/2.JPG", "dev/a/3.png", "test/c/4.png", "train/b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    items = list_labelled_images(tmp_path)
    assert [(item.path.name, item.label, item.split) for item in items] == [
        ("3.png", "a", "valid"), ("4.png", "c", "test"), ("1.png", "a", "train"), ("2.JPG", "b", "train"),
    ]  # fmt: skip
    for name in ("train/5.png", "6.png"):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=rf"{name} is in no label's folder"):
            list_labelled_images(tmp_path)
        (tmp_path / name).unlink()
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none holds no image"):
        list_labelled_images(tmp_path / "none")


def test_the_sample_has_every_label_and_given_splits_are_kept(tmp_path):
    items = [LabelledImage(tmp_path / f"{label}{n}.png", label) for label in "ab" for n in range(20)]
    parts = split_labelled_images(items, 0.1, seed=0)
    assert {part: len(found) for part, found in parts.items()} == {"train": 36, "valid": 4, "test": 0}
    assert sorted(item.label for item in parts["valid"]) == ["a", "a", "b", "b"]
    assert sorted([*parts["train"], *parts["valid"]], key=str) == sorted(items, key=str)
    assert split_labelled_images(items, 0.1, seed=0) == parts
    assert split_labelled_images(items, 0.1, seed=1) != parts
    given = [*items, LabelledImage(tmp_path / "v.png", "a", "valid")]
    assert [item.path.name for item in split_labelled_images(given, 0.1, seed=0)["valid"]] == ["v.png"]
    for bad, message in ((items[:20], "18 images with 1 labels"), (items[10:25], "images with 2 labels")):
        with pytest.raises(InvalidOptionError, match=message):
            split_labelled_images(bad, 0.1, seed=0)
    with pytest.raises(InvalidOptionError, match=r"validation share 0\.6"):
        split_labelled_images(items, 0.6, seed=0)
