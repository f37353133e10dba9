"""Which part of the model makes the rounding error of float32? See README.md beside this script."""

import argparse
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "crates/astromae/tests/golden"))
import astromae  # noqa: E402

STAGES = ("patch_embed", "norm", "qkv", "attention", "proj", "pcm", "silu", "fc1", "gelu", "fc2", "stream", "vit_block",
          "inception", "inception_linear", "magnitude", "concat_block.0", "concat_block.2")
# Coefficients of the engine's polynomials before (15) and after (16) the change, highest power first.
GELU_15 = (5.4, [4.3064877e-4, -1.0940642e-3, 8.0303923e-4, -1.0172926e-3, 3.6887336e-3, -6.877859e-3, 9.668592e-3,
                 -1.389119e-2, 1.9629039e-2, -2.5761228e-2, 3.2120436e-2, -3.920561e-2, 4.849931e-2, -6.532808e-2,
                 1.3092811e-1])
GELU_16 = (5.5, [-2.3641773e-4, 6.3155993e-4, -5.2913197e-4, 7.201037e-4, -2.4186496e-3, 4.621784e-3, -6.819910e-3,
                 1.02278255e-2, -1.4999079e-2, 2.0364568e-2, -2.604826e-2, 3.207026e-2, -3.8792785e-2, 4.7737624e-2,
                 -6.4172335e-2, 1.2855193e-1])


def rounded(x):
    """Values of `x` after rounding to float32, in float64."""
    return x.float().double()


def multiply(x, weight, bias, chain):
    """Rows times weights, as the engine does it: chains of multiply-adds. Without `chain`, one that starts at the bias."""
    x, weight, bias = rounded(x), rounded(weight), rounded(bias)
    total = bias.expand(*x.shape[:-1], -1).clone()
    chains = [range(x.shape[-1])] if chain is None else [
        range(first, min(first + chain, x.shape[-1])) for first in range(0, x.shape[-1], chain)]
    for steps in chains:
        sums = total if chain is None else torch.zeros_like(total)
        for p in steps:
            sums = rounded(sums + x[..., p:p + 1] * weight[:, p])
        total = sums if chain is None else rounded(total + sums)
    return total


def gelu(x, polynomial):
    bound, coefficients = polynomial
    x = rounded(x).clamp(min=-bound)
    inside = x.clamp(max=bound)
    t = rounded(rounded(inside * 2 / bound**2) * inside - 1)
    sums = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        sums = rounded(sums * t + rounded(torch.tensor(coefficient, dtype=torch.float64)))
    return rounded(x * rounded(inside * sums + 0.5))


class Stages:
    """The model in float64, except for the stages in `how`: "pytorch", "before" or "after" (the engine)."""

    def __init__(self, model, how):
        self.model, self.how = model, how

    def is_engine(self, stage):
        return self.how.get(stage) in ("before", "after")

    def linear(self, stage, x, layer):
        how, bias = self.how.get(stage), layer.bias.double()
        if how == "pytorch":
            return F.linear(x.float(), layer.weight.float(), layer.bias.float()).double()
        if how is None:
            return x @ layer.weight.double().T + bias
        chain = None if how == "before" else 48
        return multiply(x, layer.weight, bias, chain)

    def convolution(self, stage, x, layer, norm=nn.Identity()):
        how = self.how.get(stage)
        if how == "pytorch":
            return norm.float()(layer.float()(x.float())).double()
        if how is None:
            return norm.double()(layer.double()(x))
        weight, bias, n, side = layer.weight.double(), layer.bias.double(), x.shape[0], x.shape[2] // layer.stride[0]
        if isinstance(norm, nn.BatchNorm2d):
            scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            weight = weight * scale[:, None, None, None]
            bias = (bias - norm.running_mean.double()) * scale + norm.bias.double()
        groups, inputs = layer.groups, x.shape[1] // layer.groups
        columns = F.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)
        columns = columns.reshape(n, groups, -1, side * side).transpose(2, 3)
        weight, bias = weight.reshape(groups, -1, columns.shape[3]), bias.reshape(groups, -1)
        chain = None if how == "before" or groups > 1 else 48
        output = [multiply(columns[:, g], weight[g], bias[g], chain).transpose(1, 2) for g in range(groups)]
        assert inputs * layer.kernel_size[0] ** 2 == columns.shape[3]
        return torch.cat(output, 1).reshape(n, -1, side, side)

    def norm(self, stage, x, layer):
        how = self.how.get(stage)
        if how == "pytorch":
            return layer.float()(x.float()).double()
        if how is None:
            return layer.double()(x)
        # The engine folds gain and bias into the next layer.
        normal = F.layer_norm(x.float(), x.shape[-1:], None, None, layer.eps).double()
        return normal * layer.weight.double() + layer.bias.double()

    def gelu(self, x):
        how = self.how.get("gelu")
        if how == "pytorch":
            return F.gelu(x.float()).double()
        return F.gelu(x) if how is None else gelu(x, GELU_15 if how == "before" else GELU_16)

    def rounded_if(self, stage, x):
        return rounded(x) if stage in self.how else x

    def attention(self, q, k, v):
        if "attention" in self.how:
            q, k, v = q.float(), k.float(), v.float()
        return ((q @ k.transpose(-2, -1)).softmax(-1) @ v).double()

    def block(self, x, block):
        n, tokens, dim = x.shape
        a = block.attn
        side = int((tokens - 1) ** 0.5)
        c = self.convolution("pcm", x[:, 1:].transpose(1, 2).reshape(n, dim, side, side), block.PCM[0], block.PCM[1])
        c = F.silu(c.float()).double() if "silu" in self.how else F.silu(c)
        c = self.convolution("pcm", c, block.PCM[3]).flatten(2).transpose(1, 2)
        qkv = nn.Linear(dim, 3 * dim)
        qkv.weight, qkv.bias = a.qkv.weight, nn.Parameter(torch.cat((a.q_bias, 0 * a.v_bias, a.v_bias)))
        q, k, v = (self.linear("qkv", self.norm("norm", x, block.norm1), qkv)
                   .reshape(n, tokens, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4))
        attended = self.attention(q * a.scale, k, v).transpose(1, 2).reshape(n, tokens, dim)
        x = self.rounded_if("stream", x + self.linear("proj", attended, a.proj))
        x = self.rounded_if("stream", torch.cat((x[:, :1], x[:, 1:] + c), 1))
        hidden = self.gelu(self.linear("fc1", self.norm("norm", x, block.norm2), block.mlp.fc1))
        return self.rounded_if("stream", x + self.linear("fc2", hidden, block.mlp.fc2))

    def inception_block(self, x, block):
        def branch(x, *layers):
            for layer in layers:
                x = self.convolution("inception", x, layer.conv, layer.bn).relu()
            return x

        branches = [branch(x, block.branch1), branch(x, *block.branch2)]
        if not block.is_custom:
            branches.append(branch(x, *block.branch3))
        return torch.cat(branches + [branch(F.max_pool2d(x, 3, 1, 1), block.branch4[1])], 1)

    def redshift(self, images, magnitudes):
        model, images = self.model, images.double()
        x = self.convolution("patch_embed", images, model.patch_embed.proj).flatten(2).transpose(1, 2)
        x = torch.cat((model.cls_token.double().expand(x.shape[0], -1, -1), x), 1) + model.pos_embed.double()
        x = self.rounded_if("stream", x)
        for block in model.blocks:
            x = self.block(x, block)
        x = self.linear("vit_block", self.norm("norm", x[:, 1:].mean(1), model.fc_norm), model.head)
        vit = self.linear("vit_block", self.linear("vit_block", x, model.vit_block[0]).relu(), model.vit_block[2])
        x, y = images, magnitudes.double()
        for layer in model.inception_model.vis_inception:
            if isinstance(layer, astromae.InceptionBlock):
                x = self.inception_block(x, layer)
            elif isinstance(layer, nn.Conv2d):
                x = self.convolution("inception", x, layer)
            else:
                x = self.linear("inception_linear", x, layer) if isinstance(layer, nn.Linear) else layer(x)
        for layer in model.inception_model.magnitude_block:
            y = self.linear("magnitude", y, layer) if isinstance(layer, nn.Linear) else layer(y)
        z = self.linear("concat_block.0", torch.cat((vit, x, y), 1), model.concat_block[0]).relu()
        return self.linear("concat_block.2", z, model.concat_block[2]).squeeze(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="safetensors file of `cosmicai model-init`")
    parser.add_argument("--count", type=int, default=16, help="number of galaxies")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    model = astromae.load(options.model)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(options.count, 5, 32, 32, generator=generator)
    magnitudes = 18 + 2 * torch.randn(options.count, 5, generator=generator)
    exact = model.double()(images.double(), magnitudes.double())

    def error(how):
        difference = Stages(model, how).redshift(images, magnitudes) - exact
        return f"{difference.square().mean().sqrt():.1e}"

    assert float(error({})) < 1e-12, "the stages in float64 are not the model"
    print("| only this stage in float32 | PyTorch | before | after |\n|---|---|---|---|")
    for stage in STAGES:
        print(f"| {stage} | " + " | ".join(error({stage: how}) for how in ("pytorch", "before", "after")) + " |",
              flush=True)


if __name__ == "__main__":
    main()
