"""AutoMix: stronger image classifiers by learned mixup.

Importing this package imports nothing heavy: torch comes in with `automix_cli.method`.
"""

__version__ = "0.1.0"
