"""The project's own PyTorch definition with the weights that every contestant has; eval mode, float32."""

import pathlib
import sys

from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "crates/astromae/tests/golden"))
import astromae  # noqa: E402


def load(weights):
    model = astromae.ViT_Astro().eval()
    missing = model.load_state_dict(load_file(weights), strict=False).missing_keys
    unexpected = [name for name in missing if not name.endswith("num_batches_tracked")]
    if unexpected:
        raise ValueError(f"`{weights}`: {len(unexpected)} tensors are missing, the first is `{unexpected[0]}`")
    return model.requires_grad_(False)
