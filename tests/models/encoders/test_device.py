import pytest
import torch

from models import ModelError
from models.encoders.device import choose_device


def test_a_missing_gpu_is_refused_and_auto_falls_back(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ModelError, match="device 'cuda': torch sees no GPU on this machine; use --device cpu or auto"):
        choose_device("cuda")


def test_auto_takes_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"
