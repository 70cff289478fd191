import functools

import pytest

from tests.indexer.shortlists import VARIANTS, build, prefixes


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="session")
def built():
    """Return a function that builds each variant over the same rows once. Tests must not change them."""
    return functools.cache(lambda variant, count=2000: build(variant, prefixes(count)))
