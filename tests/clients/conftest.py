"""What tests with other clients share: a browser."""

from collections.abc import Iterator

import pytest

from chromium import Chromium, find_chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
