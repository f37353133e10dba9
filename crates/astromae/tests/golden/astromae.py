"""AstroMAE (Fathkouhi & Fox, arXiv:2409.01825) in PyTorch: the definition that the golden values, the comparison with
other engines and the training use.

Attributes have the names of published checkpoints, so that their state dicts can be loaded. Sizes are arguments; their
defaults are those of the published model (15,902,889 parameters).
"""

import torch
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    """`qkv_bias` is "parts" (q_bias and v_bias, as in AstroMAE), "whole" (qkv.bias, as in a plain ViT) or None."""

    def __init__(self, dim, num_heads, qkv_bias):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias == "whole")
        self.q_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias == "parts" else None
        self.v_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias == "parts" else None
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        n, tokens, dim = x.shape
        bias = self.qkv.bias
        if self.q_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = nn.functional.linear(x, self.qkv.weight, bias)
        q, k, v = qkv.reshape(n, tokens, 3, self.num_heads, dim // self.num_heads).permute(2, 0, 3, 1, 4)
        weights = (q * self.scale @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class NormalCell(nn.Module):
    """Transformer block. `pcm` is (groups, window) of the convolutions in parallel to the attention, or None."""

    def __init__(self, dim, num_heads, hidden, pcm, qkv_bias):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden)
        if pcm:
            groups, window = pcm
            self.PCM = nn.Sequential(
                nn.Conv2d(dim, hidden, window, padding=window // 2, groups=groups),
                nn.BatchNorm2d(hidden),
                nn.SiLU(inplace=True),
                nn.Conv2d(hidden, dim, window, padding=window // 2, groups=groups),
            )

    def forward(self, x):
        convolved = None
        if hasattr(self, "PCM"):
            n, tokens, dim = x.shape
            side = int((tokens - 1) ** 0.5)
            tokens_map = x[:, 1:].transpose(1, 2).reshape(n, dim, side, side)
            convolved = self.PCM(tokens_map).flatten(2).transpose(1, 2)
        x = x + self.attn(self.norm1(x))
        if convolved is not None:
            x = torch.cat((x[:, :1], x[:, 1:] + convolved), dim=1)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, bands, dim, patch_size):
        super().__init__()
        self.proj = nn.Conv2d(bands, dim, patch_size, stride=patch_size)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs, window):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, window, padding=window // 2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class InceptionBlock(nn.Module):
    """Inception block. If `is_custom`, the 5x5 branch has weights but is not used."""

    def __init__(self, inputs, width, is_custom):
        super().__init__()
        self.is_custom = is_custom
        self.branch1 = ConvBlock(inputs, width, 1)
        self.branch2 = nn.Sequential(ConvBlock(inputs, width, 1), ConvBlock(width, width, 3))
        self.branch3 = nn.Sequential(ConvBlock(inputs, width, 1), ConvBlock(width, width, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvBlock(inputs, width, 1))

    def forward(self, x):
        branches = [self.branch1, self.branch2, self.branch4]
        if not self.is_custom:
            branches.insert(2, self.branch3)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Input_Mix_Model(nn.Module):
    """The Inception network, with the network of the magnitudes if `magnitude`. It is a part of AstroMAE. With
    `Inception_only`, or with `magnitude` and `uk_paper`, it is a model of its own, whose output is the redshift."""

    def __init__(
        self, bands, image_size, first, widths, features, hidden, Inception_only=False, magnitude=True, uk_paper=False
    ):
        super().__init__()
        self.Inception_only = Inception_only
        self.magnitude = magnitude
        self.uk_paper = uk_paper
        self.conv2d_init = nn.Conv2d(bands, first, 1)
        a, b, c, d, e = widths
        self.vis_inception = nn.Sequential(
            self.conv2d_init,
            nn.AvgPool2d(2),
            InceptionBlock(first, a, False),
            InceptionBlock(4 * a, b, False),
            nn.AvgPool2d(2),
            InceptionBlock(4 * b, c, False),
            InceptionBlock(4 * c, d, False),
            nn.AvgPool2d(2),
            InceptionBlock(4 * d, e, True),
            nn.Flatten(),
            nn.Linear(3 * e * (image_size // 8) ** 2, features),
            nn.ReLU(),
            nn.Linear(features, features),
        )
        if Inception_only:
            self.Inception_head_block = nn.Sequential(nn.ReLU(), nn.Linear(features, 1))
        elif magnitude:
            layers = [nn.Linear(bands, hidden)]
            for _ in range(4):
                layers += [nn.ReLU(), nn.Linear(hidden, hidden)]
            self.magnitude_block = nn.Sequential(*layers)
            if uk_paper:
                self.head_incept_mag = nn.Sequential(
                    nn.Linear(features + hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
                )

    def forward(self, images, magnitudes, observe=lambda name, value: None):
        """Returns the features (n, …), or the redshifts (n, 1). Calls `observe` as `ViT_Astro.forward` does."""
        x = images
        for index, stage in enumerate(self.vis_inception):
            x = stage(x)
            if x.dim() == 4:
                observe(f"vis_inception.{index}", x)
        observe("inception", x)
        if self.Inception_only:
            return self.Inception_head_block(x)
        if self.magnitude:
            magnitude = self.magnitude_block(magnitudes)
            observe("magnitude", magnitude)
            x = torch.cat((x, magnitude), dim=1)
            if self.uk_paper:
                x = self.head_incept_mag(x)
        return x


class ViT_Astro(nn.Module):
    def __init__(
        self,
        image_size=32,
        patch_size=8,
        dim=192,
        depth=12,
        num_heads=12,
        hidden=768,
        pcm=(48, 1),
        qkv_bias="parts",
        inception=(32, (16, 16, 8, 8, 4)),
        features=1096,
        joint=1024,
        bands=5,
        magnitude=True,
    ):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2 + 1, dim))
        self.fc_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, dim)
        self.inception_model = Input_Mix_Model(
            bands, image_size, *inception, features, joint, magnitude=magnitude
        )
        self.blocks = nn.ModuleList(NormalCell(dim, num_heads, hidden, pcm, qkv_bias) for _ in range(depth))
        self.patch_embed = PatchEmbed(bands, dim, patch_size)
        self.vit_block = nn.Sequential(nn.Linear(dim, features), nn.ReLU(), nn.Linear(features, features))
        width = 2 * features + (joint if magnitude else 0)
        self.concat_block = nn.Sequential(nn.Linear(width, joint), nn.ReLU(), nn.Linear(joint, 1))

    def forward(self, images, magnitudes, observe=lambda name, value: None):
        """Returns redshifts (n). Calls `observe` with the name and output of each layer."""
        x = self.patch_embed(images)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        observe("patch_embed", x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            observe(f"blocks.{index}", x)
        x = self.fc_norm(x[:, 1:].mean(dim=1))
        observe("vit", x)
        vit = self.vit_block(self.head(x))
        observe("vit_block", vit)
        others = self.inception_model(images, magnitudes, observe)
        return self.concat_block(torch.cat((vit, others), dim=1)).squeeze(1)


def load(weights):
    """The published model's sizes with the weights of a safetensors file; eval mode, float32, no gradients."""
    model = ViT_Astro().eval()
    missing = model.load_state_dict(load_file(weights), strict=False).missing_keys
    unexpected = [name for name in missing if not name.endswith("num_batches_tracked")]
    if unexpected:
        raise ValueError(f"`{weights}`: {len(unexpected)} tensors are missing, the first is `{unexpected[0]}`")
    return model.requires_grad_(False)
