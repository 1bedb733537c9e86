"""Where a mixer may look at numbers while it computes.

On a processor reading a number costs nothing, and a solver can stop when it is done, or go through
a list. On an accelerator it would make the host wait for everything queued, so there the same
solver does a fixed number of rounds over everything.
"""

from torch import Tensor

HOST_DEVICES = frozenset({"cpu"})
"""Types of devices that are the host."""


def is_on_host(tensor: Tensor) -> bool:
    """Whether reading a number of this tensor waits for nothing."""
    return tensor.device.type in HOST_DEVICES
