import pytest

pytest.importorskip("mteb")

from models import mteb_model
from models.evaluation.mteb_model import MtebModel


def test_the_documented_name_is_the_class():
    assert mteb_model.MtebModel is MtebModel
