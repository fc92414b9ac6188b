"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from geodl._quiet import settle

settle()

# Examples that build networks or files take long on a busy machine; how long is never what is tested.
settings.register_profile("geodl", deadline=None)
settings.load_profile("geodl")

# Converting each of the many small networks of the tests would take longer than all else.
os.environ.setdefault("GEODL_RUNTIME", "keras")
# Half of the time with JAX went into making programs fast that run once; read when JAX is imported.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what tests fetch and convert out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEODL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; tests that need it skip, by name, where it is absent."""
    folder = Path(os.environ.get("GEODL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data absent: no folder {folder} (set GEODL_DATA)")
    return folder


@pytest.fixture(scope="module")
def float64() -> Iterator[None]:
    """Lets JAX compute in float64 for the tests of a module, and no longer."""
    import keras

    from geodl.autodiff import enable_float64

    enable_float64()
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", False)
