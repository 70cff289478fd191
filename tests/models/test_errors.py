import re
from pathlib import Path

import pytest

from models import errors
from models.errors import AdaptiveRetrievalError, ImageError, InvalidOptionError, OptionalDependencyError


def test_every_error_has_the_common_base_and_is_drawn():
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, AdaptiveRetrievalError) for kind in classes)
    drawn = set(re.findall(r"\w+Error", errors.__doc__))
    assert {kind.__name__ for kind in classes} <= drawn


def test_an_invalid_option_names_itself_and_is_a_value_error():
    error = InvalidOptionError("k", "k 0: give at least 1")
    assert (error.param, str(error)) == ("k", "k 0: give at least 1")
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("source", "message"), [(Path("cat.png"), "image cat.png: truncated"), (b"abc", "image of 3 bytes: truncated")]
)
def test_an_image_error_names_file_or_size(source, message):
    error = ImageError(source, "truncated")
    assert (str(error), error.reason) == (message, "truncated")


def test_a_missing_package_says_how_to_install_it():
    error = OptionalDependencyError("mteb", "MtebModel", "pip install 'adaptive-retrieval[mteb]'")
    assert isinstance(error, ImportError)
    assert str(error) == (
        "MtebModel needs the package mteb, which is not installed: pip install 'adaptive-retrieval[mteb]'"
    )
    assert (error.package, error.feature) == ("mteb", "MtebModel")
