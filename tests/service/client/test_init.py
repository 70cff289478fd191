import subprocess
import sys

import pytest

import service.client as api

HEAVY = {"torch", "faiss", "indexer", "models", "fastapi", "numpy", "pydantic", "sentence_transformers"}


def test_the_client_is_imported_with_httpx_alone():
    program = "import sys, service.client; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "httpx" in loaded
    assert not HEAVY & set(loaded)


def test_the_package_still_exports_the_names_of_the_application():
    import service

    assert callable(service.create_app)
    assert service.Settings.model_fields
    with pytest.raises(AttributeError, match="no attribute 'app_factory'"):
        _ = service.app_factory


def test_exported_names():
    assert api.__all__ == sorted(api.__all__)
    assert all(getattr(api, name).__doc__ for name in api.__all__)
    unexported = {name for name, value in vars(api).items() if isinstance(value, type)} - set(api.__all__)
    assert not unexported
