import pytest

from tests.models.distillation.teachers import make_teacher


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """See :func:`make_teacher`. Do not modify."""
    return make_teacher(tmp_path_factory.mktemp("teacher"))
