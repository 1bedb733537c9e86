"""How the program starts quickly: what large libraries cost to import, and what is saved of it.

torch, torchvision and timm are imported only inside commands. Importing them makes some hundred
thousand objects that all stay, and Python looks through all of them again and again for garbage:
a fifth of the time.
"""
# pyright: strict

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Generator[None]:
    """Import without collecting garbage in between."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
