"""A service that anybody in its group may attack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from attacks.server import UnprivilegedForks
from attacks.service import Service, installed


@pytest.fixture(scope="session")
def forks() -> Iterator[UnprivilegedForks]:
    if os.geteuid() != 0:
        pytest.skip("becoming two other users needs root")
    with UnprivilegedForks() as forks:
        yield forks


@pytest.fixture
def service(forks: UnprivilegedForks) -> Iterator[Service]:
    """In folders that the whole group may write to."""
    with installed(forks, is_open=True) as service:
        yield service


@pytest.fixture
def installed_service(forks: UnprivilegedForks) -> Iterator[Service]:
    """As it is installed."""
    with installed(forks, is_open=False) as service:
        yield service
