"""What holds for all tests and examples: the package is imported first, and a person's own folders are left alone."""

from collections.abc import Iterator

import pytest

import nbgraph  # before pytest collects: its importlib mode would load a first module of ours a second time

__all__ = ["collect_ignore", "nbgraph"]
collect_ignore = ["tests/mlrun_reference"]  # runs in MLRun's own environment: make test-mlrun


@pytest.fixture(autouse=True, scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A catalogue and a place for jobs that nobody else sees, nor finds anything in after the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBGRAPH_CATALOG", str(home))
        patch.setenv("NBGRAPH_JOBS", str(home / "jobs"))
        yield
