from tests.service.conftest import client as client
from tests.service.conftest import mrl as mrl
from tests.service.conftest import url as url
