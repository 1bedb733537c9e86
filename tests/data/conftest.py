"""Fixtures for data: a tiny CIFAR, published on this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published_cifar import Publication, publish_cifar


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Publication]:
    """Publish `cifar10` or `cifar100` in small; its address leads nowhere."""
    return lambda name: publish_cifar(name, tmp_path / "published", monkeypatch)


@pytest.fixture
def served(publish: Callable[[str], Publication]) -> Iterator[Publication]:
    """A tiny CIFAR-100 that can be downloaded."""
    publication = publish("cifar100")
    server = publication.serve()
    yield publication
    server.shutdown()
    server.server_close()
