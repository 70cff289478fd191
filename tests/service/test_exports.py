import subprocess
import sys

import pytest

import service


def test_the_exported_names_are_these_and_can_be_imported():
    assert service.__all__ == ["Settings", "create_app"]
    assert all(getattr(service, name).__name__ == name for name in service.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'service' has no attribute 'nope'"):
        _ = service.nope


def test_importing_the_package_imports_no_framework():
    """So that a program with the client alone needs httpx alone."""
    program = "import service, sys; print([name for name in ('fastapi', 'torch', 'indexer') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
