import sqlite3
from contextlib import closing

import pytest


@pytest.fixture(scope="module")
def memory():
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection
