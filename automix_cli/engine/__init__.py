"""The training loop on any number of devices: the only package that imports Accelerate.

Read `step.py` first: one update, top to bottom. `loop.py` repeats it, `checkpoint.py` makes it
survive a kill, `runtime.py` knows about devices and processes.
"""
