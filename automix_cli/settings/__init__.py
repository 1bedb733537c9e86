"""Settings: what can be set (`model`), and which source sets it (`layering`).

`model` is the root model with `[model] [evaluation] [run]`; `data`, `mix` and `training` hold the
longer sections, and `rules` what sections are made of. `keys` lists every key as
plain data, `toml` reads and writes files, `problems` says what is wrong.
"""

from automix_cli.settings.data import DataSettings
from automix_cli.settings.detection import DetectionSettings
from automix_cli.settings.mix import MixSettings
from automix_cli.settings.model import (
    EvaluationSettings,
    ModelSettings,
    RunSettings,
    Settings,
)
from automix_cli.settings.training import OptimizerSettings, TrainSettings

__all__ = [
    "DataSettings",
    "DetectionSettings",
    "EvaluationSettings",
    "MixSettings",
    "ModelSettings",
    "OptimizerSettings",
    "RunSettings",
    "Settings",
    "TrainSettings",
]
