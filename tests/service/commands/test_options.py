from typing import get_args

import pytest
from typer.models import ParameterInfo

from service.commands import options

SHARED = {name: get_args(value)[1] for name, value in vars(options).items() if get_args(value) and name[0].isupper()}


def test_there_are_shared_options():
    assert {"Json", "IndexPath", "Device", "TextField", "Seed"} <= SHARED.keys()


@pytest.mark.parametrize("name", SHARED)
def test_each_has_a_sentence_of_help(name):
    assert isinstance(SHARED[name], ParameterInfo)
    assert SHARED[name].help[0].isupper()
    assert SHARED[name].help.endswith(".")
