import pytest

from wards import Ward, bundled_ward, load_ward


@pytest.fixture(scope="session")
def bunkyo() -> Ward:
    return load_ward(bundled_ward("bunkyo"))
