"""What a method needs beside its name to train on the digits: for tests of every method."""

from pathlib import Path

import timm
from safetensors.torch import save_file


def needs(method: str, folder: Path) -> tuple[str, ...]:
    """Settings as `KEY=VALUE`; AttentiveMix+ gets a file of weights in `folder`."""
    if method == "attentivemix":
        path = folder / "attention.safetensors"
        if not path.exists():
            save_file(timm.create_model("test_resnet").state_dict(), path)
        return (f"mix.attention_checkpoint={path}", "mix.attention_backbone=test_resnet")
    if method == "transmix":
        return ("model.backbone=test_vit", "model.stem=imagenet", "model.feature_stage=5")
    return ()
