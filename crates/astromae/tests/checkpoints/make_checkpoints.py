#!/usr/bin/env python3
"""Makes the small checkpoints in this folder, and expected.json with the values that PyTorch reads from them.

    python3 make_checkpoints.py           (PyTorch 2.2.2, NumPy 1.26; later versions should work)

They test the file format and not the model: all ways in which PyTorch pickles a tensor, a module and their attributes.
For every file, expected.json has its form, tensors and some attributes, or words that the error message must contain.
"""

import json
import pathlib
from collections import OrderedDict

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent
SEED = 20250102
torch.manual_seed(SEED)
expected = {}


class ConvBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.bn = nn.BatchNorm2d(3, eps=1e-3)


class Attention(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.num_heads = 3
        self.scale = 2**-0.5
        self.qkv = nn.Linear(4, 12, bias=bias)
        self.q_bias = None if bias else nn.Parameter(torch.randn(4))
        self.unused = None
        self.dtype = torch.float32
        self.device = torch.device("cpu")
        self.names = {"q", "k"}
        self.sizes = torch.Size([4, 12])
        self.kernel = (3, 3)
        self.stretch = (1, 2)


class ViT_Astro(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_dim = 4
        self.global_pool = True
        self.name = "astro"
        self.blocks = nn.ModuleList([Attention(True), Attention(False)])
        self.init = ConvBlock()
        self.chain = nn.Sequential(self.init, nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Flatten(), nn.Dropout(0.25), nn.Identity())
        self.norm = nn.LayerNorm(4, eps=1e-6)
        self.transposed = nn.Parameter(torch.randn(3, 2).T)
        self.marked = nn.Parameter(torch.randn(2))
        self.marked.origin = "a parameter with an attribute"
        noted = torch.randn(2)
        noted.origin = "a buffer with an attribute"
        self.register_buffer("noted", noted)
        self.register_buffer("forgotten", torch.randn(2), persistent=False)


def describe(tensor):
    values = tensor.detach().double().flatten().tolist()
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "values": values}


def good(name, form, content, tensors, attributes={}, **options):
    torch.save(content, FOLDER / f"{name}.pt", **options)
    expected[name] = {
        "form": form,
        "tensors": {key: describe(tensor) for key, tensor in tensors.items()},
        "attributes": attributes,
    }


def rejected(name, content, *words, **options):
    torch.save(content, FOLDER / f"{name}.pt", **options)
    expected[name] = {"error": list(words)}


model = ViT_Astro().eval()
everything = dict(model.state_dict(), forgotten=model.forgotten)
attributes = {
    "embed_dim": 4,
    "global_pool": 1,
    "blocks.0.num_heads": 3,
    "blocks.1.scale": 2**-0.5,
    "blocks.0.kernel": 3,
    "blocks.0.stretch": None,
    "init.bn.eps": 1e-3,
    "chain.0.bn.eps": 1e-3,
    "chain.5.p": 0.25,
    "norm.eps": 1e-6,
    "norm.normalized_shape": 4,
    "blocks.0.qkv.in_features": 4,
    "name": None,
    "training": None,
}
good("module", "PickledModule", model, everything, attributes)
good("data_parallel", "PickledModule", nn.DataParallel(model), everything, attributes)
good("protocol_4", "PickledModule", model, everything, attributes, pickle_protocol=4)
good("under_model", "PickledModule", {"model": model, "epoch": 7}, everything, attributes | {"epoch": None})

state = model.state_dict()
good("state_dict", "StateDict", state, state)
good("state_dict_parallel", "StateDict", nn.DataParallel(model).state_dict(), state)
wrapped = {"state_dict": state, "epoch": 7, "config": {"num_heads": 3, "layer_norm_eps": 1e-6}}
good("state_dict_wrapped", "StateDict", wrapped, state, {"epoch": None, "blocks.0.num_heads": 3, "norm.eps": 1e-6, "init.bn.eps": None})

storage = torch.arange(24, dtype=torch.float32)
views = OrderedDict(
    whole=storage.view(4, 6),
    transposed=storage.view(4, 6).T,
    corner=storage.view(4, 6)[1:3, 2:5],
    backwards_columns=storage.view(2, 3, 4).permute(2, 0, 1),
    expanded=storage[5:6].expand(3, 2),
    scalar=storage[7],
    empty=storage[:0],
)
good("views", "StateDict", views, views)
types = OrderedDict((str(dtype), (torch.arange(-3, 4) * 1.5).to(dtype)) for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.bool,
))
types["torch.uint8"] = torch.tensor([0, 1, 255], dtype=torch.uint8)
good("types", "StateDict", types, types)

rejected("complex", {"weight": torch.ones(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage")
rejected("negated", {"weight": torch._neg_view(torch.ones(2))}, "negative")
rejected("sparse", {"weight": torch.eye(2).to_sparse()}, "torch._utils._rebuild_sparse_tensor")
lstm = nn.LSTM(2, 2)
good("lstm", "PickledModule", lstm, lstm.state_dict(), {"hidden_size": 2})
rejected("optimizer", torch.optim.SGD(model.parameters(), 0.1), "torch.optim.sgd.SGD", "neither a module nor a state dict")
rejected("function", {"weight": torch.ones(1), "loss": print}, "builtin", "print", "nothing was executed")
rejected("no_tensors", {"epoch": 3}, "no tensor")
rejected("a_tensor", torch.ones(2), "neither a module nor a state dict")
rejected("format_before_1_6", state, "before 1.6", _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.trace(nn.Linear(2, 1), torch.ones(1, 2)), FOLDER / "torchscript.pt")
expected["torchscript"] = {"error": ["TorchScript"]}

with open(FOLDER / "expected.json", "w") as file:
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(expected.items()))
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
print(f"{len(expected)} checkpoints, PyTorch {torch.__version__}")
