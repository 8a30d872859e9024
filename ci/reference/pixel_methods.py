"""The methods that paint: plain Slot Attention, SlotDiffusion, Latent Slot Diffusion from scratch.

Networks by the reference libraries where there is one (torchvision's ResNet, diffusers' UNet2DModel,
UNet2DConditionModel and VQModel), by transcriptions of the published definitions elsewhere. No weights are
stored: both sides compute them from the tensor's name, so that a wrong name is a wrong number.

usage: pixel_methods.py NETS_GOLDENS TRAINER_GOLDENS
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import UNet2DConditionModel, UNet2DModel, VQModel
from diffusers.models.resnet import ResnetBlock2D
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock, ResNet

STEPS = 10
RATE, CLIP = 1e-3, 1.0
# Of a large tensor this many elements, evenly spread, are kept.
KEPT = 64
# Not Adam's 1e-8: a bias that a softmax cancels has a gradient of rounding only, which Adam would blow up.
EPSILON = 1e-4


def numbers(name, *shape):
    """Numbers in [-1, 1) from the name and the index: FNV-1a, then MurmurHash3's finaliser."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(int(np.prod(shape)), dtype=np.uint64) * 0x9E3779B9 + seed) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> shift)) * factor) & 0xFFFFFFFF
    x = x ^ (x >> 16)
    return torch.tensor((x / 2**32 * 2 - 1).astype(np.float32)).reshape(shape)


def fill(module, prefix=""):
    """Weights of unit gain, norms around one, biases around zero."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point() or name.endswith(".pe"):
                continue
            u = numbers(prefix + name, *value.shape)
            if value.dim() > 1:
                u = u * (3 / value[0].numel()) ** 0.5
            elif name.endswith(("weight", "var")):
                u = 1 + 0.2 * u
            else:
                u = 0.2 * u
            value.copy_(u)
    return module.eval()


def some(t):
    return t.detach().flatten()[:: max(1, -(-t.numel() // KEPT))].clone()


def save(path, tensors):
    save_file({k: v.detach().contiguous().float() for k, v in tensors.items()}, path)
    print(path.name, path.stat().st_size)


# --- networks ---------------------------------------------------------------------------------------------


def resnet(depths, width, stem, pool, groups):
    """torchvision's ResNet; SAVi's strides and norms are timm's `resnet34_savi` of OCLF."""
    norm = (lambda c: nn.GroupNorm(groups, c)) if groups else nn.BatchNorm2d
    net = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=norm)
    net.inplanes = width
    net.conv1 = nn.Conv2d(3, width, 7, stride=stem, padding=3, bias=False)
    net.bn1 = norm(width)
    net.maxpool = nn.MaxPool2d(3, stride=pool, padding=1)
    for stage in range(4):
        delattr(net, f"layer{stage + 1}")
    for stage, depth in enumerate(depths):
        layer = net._make_layer(BasicBlock, width << stage, depth, stride=1 if stage == 0 else 2)
        setattr(net, f"layer{stage + 1}", layer)
    del net.fc, net.avgpool

    def forward(x):
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for stage in range(len(depths)):
            x = getattr(net, f"layer{stage + 1}")(x)
        return x

    net.forward = forward
    return net


class UNetEncoder(UNet2DModel):
    """A shrinking convolution before a UNet2DModel at timestep 0."""

    def __init__(self, input_resolution, input_channels, sample_size, in_channels, **rest):
        super().__init__(sample_size=sample_size, in_channels=in_channels, **rest)
        stride = input_resolution // sample_size
        self.downscale_cnn = nn.Conv2d(input_channels, in_channels, stride, stride=stride)

    def forward(self, x):
        return super().forward(self.downscale_cnn(x), timestep=0).sample


class Cartesian(nn.Module):
    def __init__(self, size, side):
        super().__init__()
        self.projection = nn.Conv2d(4, size, 1)
        centre = (torch.arange(side) + 0.5) / side
        row, column = centre[:, None].expand(side, side), centre[None].expand(side, side)
        self.register_buffer("pe", torch.stack([row, column, 1 - row, 1 - column])[None])
        self.side = side

    def forward(self, x):
        return x + self.projection(self.pe).flatten(2).transpose(1, 2)


def add_positions(unet, side):
    """Adds a position to the input of every attention layer; the names are those of the published class."""
    sides = {}
    at = side
    for i, block in enumerate(unet.down_blocks):
        sides[f"down_blocks.{i}"] = at
        at = at // 2 if block.downsamplers is not None else at
    sides["mid_block"] = at
    for i, block in enumerate(unet.up_blocks):
        sides[f"up_blocks.{i}"] = at
        at = at * 2 if block.upsamplers is not None else at
    for name, layer in list(unet.named_modules()):
        if name.endswith((".attn1", ".attn2")):
            where = next(v for k, v in sides.items() if name.startswith(k))
            layer.pos_emb = nn.Sequential(nn.Identity(), Cartesian(layer.to_q.in_features, where))
            layer.register_forward_pre_hook(
                lambda layer, args, kwargs: ((layer.pos_emb(args[0]), *args[1:]), kwargs), with_kwargs=True
            )
    return unet


class OriginalNames(nn.Module):
    """taming-transformers' names for a VQModel's tensors, in the original order of modules."""

    def __init__(self, c):
        super().__init__()
        chs = c["block_out_channels"]
        n = len(chs)
        conv = lambda i, o, k: nn.Conv2d(i, o, k)

        def block(i, o):
            m = nn.Module()
            m.norm1, m.conv1 = nn.GroupNorm(c["norm_num_groups"], i), conv(i, o, 3)
            m.norm2, m.conv2 = nn.GroupNorm(c["norm_num_groups"], o), conv(o, o, 3)
            if i != o:
                m.nin_shortcut = conv(i, o, 1)
            return m

        def middle(ch):
            m = nn.Module()
            m.block_1, m.block_2 = block(ch, ch), block(ch, ch)
            m.attn_1 = nn.Module()
            m.attn_1.norm = nn.GroupNorm(c["norm_num_groups"], ch)
            for k in ("q", "k", "v", "proj_out"):
                setattr(m.attn_1, k, conv(ch, ch, 1))
            return m

        self.encoder, self.decoder, self.quantize = nn.Module(), nn.Module(), nn.Module()
        e, d, layers, z = self.encoder, self.decoder, c["layers_per_block"], c["latent_channels"]
        e.conv_in, e.down = conv(c["in_channels"], chs[0], 3), nn.ModuleList()
        into = chs[0]
        for i, ch in enumerate(chs):
            m = nn.Module()
            m.block = nn.ModuleList([block(into if j == 0 else ch, ch) for j in range(layers)])
            if i + 1 < n:
                m.downsample = nn.Module()
                m.downsample.conv = conv(ch, ch, 3)
            e.down.append(m)
            into = ch
        e.mid, e.norm_out, e.conv_out = middle(into), nn.GroupNorm(c["norm_num_groups"], into), conv(into, z, 3)
        d.conv_in, d.mid = conv(z, into, 3), middle(into)
        ups = []
        for i in reversed(range(n)):
            m = nn.Module()
            m.block = nn.ModuleList([block(into if j == 0 else chs[i], chs[i]) for j in range(layers + 1)])
            into = chs[i]
            if i:
                m.upsample = nn.Module()
                m.upsample.conv = conv(into, into, 3)
            ups.insert(0, m)
        d.up = nn.ModuleList(ups)
        d.norm_out, d.conv_out = nn.GroupNorm(c["norm_num_groups"], into), conv(into, c["out_channels"], 3)
        self.quantize.embedding = nn.Embedding(c["num_vq_embeddings"], c["vq_embed_dim"])
        self.quant_conv, self.post_quant_conv = conv(z, c["vq_embed_dim"], 1), conv(c["vq_embed_dim"], z, 1)


RESNETS = {
    "savi": dict(depths=[2, 1, 1], width=8, stem=1, pool=1, groups=4),
    "published": dict(depths=[1, 2, 1, 1], width=6, stem=2, pool=2, groups=0),
}
ENCODER = dict(
    sample_size=8, in_channels=6, out_channels=5, block_out_channels=[8, 8, 16], layers_per_block=1,
    attention_head_dim=4, norm_num_groups=4, input_resolution=16, input_channels=3,
    down_block_types=["DownBlock2D"] * 3, up_block_types=["UpBlock2D"] * 3,
)  # fmt: skip
POSITIONED = dict(
    sample_size=8, in_channels=4, out_channels=4, cross_attention_dim=6, block_out_channels=[8, 16],
    layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
    down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
)  # fmt: skip
AUTOENCODER = dict(
    in_channels=3, out_channels=3, block_out_channels=[4, 8], layers_per_block=1, latent_channels=3,
    num_vq_embeddings=20, vq_embed_dim=3, norm_num_groups=2, scaling_factor=1.0,
    down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
)  # fmt: skip


def networks(out):
    out.mkdir(parents=True, exist_ok=True)

    def config(name, values):
        (out / name).mkdir(exist_ok=True)
        (out / name / "config.json").write_text(json.dumps(values, indent=2) + "\n")

    tensors = {}
    for name, c in RESNETS.items():
        net = fill(resnet(**c))
        tensors[f"resnet.{name}"] = net(numbers(f"in.resnet.{name}", 2, 3, 24, 24))
        keys = dict(depths=c["depths"], width=c["width"], stem_stride=c["stem"], pool_stride=c["pool"])
        config(f"resnet-{name}", {"architecture": "resnet34", **keys, **({"groups": c["groups"]} if c["groups"] else {})})
    tensors["unet-encoder"] = fill(UNetEncoder(**ENCODER))(numbers("in.unet-encoder", 2, 3, 16, 16))
    config("unet-encoder", {"_class_name": "UNetEncoder", **ENCODER})
    unet = fill(add_positions(UNet2DConditionModel(**POSITIONED), 8))
    x, context = numbers("in.unet-position", 2, 4, 8, 8), numbers("in.context", 2, 5, 6)
    tensors["unet-position"] = unet(x, torch.tensor([3, 700]), context).sample
    config("unet-position", {"_class_name": "UNet2DConditionModelWithPos", "pos_type": "cartesian", **POSITIONED})
    vq = fill(VQModel(**AUTOENCODER))
    x = numbers("in.vqvae", 2, 3, 16, 16)
    h = vq.encode(x).latents
    quantised, _, (_, _, codes) = vq.quantize(h)
    tensors |= {"vqvae.latents": h, "vqvae.quantised": quantised, "vqvae.codes": codes.float()}
    tensors["vqvae.picture"] = vq.decode(h).sample
    config("vqvae", {"_class_name": "VQModel", **AUTOENCODER})
    save(out / "networks.safetensors", tensors)
    original_names(out / "vqvae-original", vq)


def original_names(folder, vq):
    """The same numbers under the original names, which come in the same order within each kind."""
    folder.mkdir(exist_ok=True)
    original = OriginalNames(AUTOENCODER).state_dict()
    parts = lambda state, prefix: [k for k in state if k.startswith(prefix)]
    renamed = {}
    ours = vq.state_dict()

    def move(new, old):
        for a, b in zip(new, old, strict=True):
            renamed[a] = ours[b].reshape(original[a].shape)

    order = ["norm1", "conv1", "norm2", "conv2", "shortcut", "sample", "embedding"]
    rank = lambda k: (*(i for i, o in enumerate(order) if o in k), k.endswith("bias"))
    for half in ("encoder", "decoder"):
        levels = len(AUTOENCODER["block_out_channels"])
        for i in range(levels):
            mine = f"encoder.down.{i}." if half == "encoder" else f"decoder.up.{levels - 1 - i}."
            theirs = f"encoder.down_blocks.{i}." if half == "encoder" else f"decoder.up_blocks.{i}."
            for kind in ("block", "sample"):
                a = [k for k in parts(original, mine) if kind in k.removeprefix(mine)]
                b = [k for k in parts(ours, theirs) if {"block": "resnets", "sample": "samplers"}[kind] in k]
                index = lambda k: int(k.split(".")[4]) if kind == "block" else 0
                move(sorted(a, key=lambda k: (index(k), rank(k))), sorted(b, key=lambda k: (index(k), rank(k))))
        for a, b in (("block_1", "resnets.0"), ("block_2", "resnets.1")):
            move(*(sorted(parts(s, f"{half}.{p}."), key=rank) for s, p in
                   ((original, f"mid.{a}"), (ours, f"mid_block.{b}"))))  # fmt: skip
        for a, b in (("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")):
            for kind in ("weight", "bias"):
                move([f"{half}.mid.attn_1.{a}.{kind}"], [f"{half}.mid_block.attentions.0.{b}.{kind}"])
        for a, b in (("norm_out", "conv_norm_out"), ("conv_in", "conv_in"), ("conv_out", "conv_out")):
            for kind in ("weight", "bias"):
                move([f"{half}.{a}.{kind}"], [f"{half}.{b}.{kind}"])
    for rest in ("quantize.", "quant_conv.", "post_quant_conv."):
        move(parts(original, rest), parts(ours, rest))
    assert set(renamed) == set(original)
    renamed["loss.perceptual_loss.lin0.weight"] = torch.zeros(1)
    save(folder / "diffusion_pytorch_model.safetensors", renamed)
    (folder / "config.json").write_text(json.dumps(AUTOENCODER, indent=2) + "\n")


# --- methods ----------------------------------------------------------------------------------------------


class Slots(nn.Module):
    """Slot attention with the sizes of OCLF's and SlotDiffusion's: input -> slot -> slot before it."""

    def __init__(self, c):
        super().__init__()
        i, h, t, s = c["input"], c["hidden"], c["tokens"], c["slot"]
        self.c = c
        self.layer, count = {"savi": ("dense", 2), "soft": ("dense", 4), "grid": ("projection", 4)}[c["position"]]
        self.pos = nn.ModuleDict({self.layer: nn.Linear(count, i)})
        self.in_layer_norm = nn.LayerNorm(i)
        self.in_mlp = nn.Sequential(nn.Linear(i, h), nn.ReLU(), nn.Linear(h, t))
        if c["learned"]:
            self.slot_mu = nn.Parameter(torch.empty(1, c["slots"], s))
        else:
            self.slot_mu = nn.Parameter(torch.empty(1, 1, s))
            self.slot_log_sigma = nn.Parameter(torch.empty(1, 1, s))
        self.norm_inputs, self.norm_slots, self.norm_mlp = nn.LayerNorm(t), nn.LayerNorm(s), nn.LayerNorm(s)
        self.project_q = nn.Linear(s, s, bias=False)
        self.project_k = nn.Linear(t, s, bias=False)
        self.project_v = nn.Linear(t, s, bias=False)
        self.gru = nn.GRUCell(s, s)
        self.mlp = nn.Sequential(nn.Linear(s, c["mlp"]), nn.ReLU(), nn.Linear(c["mlp"], s))
        if c["out"]:
            self.out_layer_norm, self.out_linear = nn.LayerNorm(s), nn.Linear(s, c["out"])

    def coordinates(self, n):
        side = round(n**0.5)
        if self.c["position"] == "grid":
            along = (torch.arange(side) + 0.5) / side
        else:
            along = torch.linspace(0, 1, side)
        grid = torch.cartesian_prod(along, along)
        return (grid - 0.5) * 2 if self.c["position"] == "savi" else torch.cat([grid, 1 - grid], -1)

    def forward(self, x, noise):
        c = self.c
        b, k, s = noise.shape
        x = x + self.pos[self.layer](self.coordinates(x.shape[1]))
        x = self.norm_inputs(self.in_mlp(self.in_layer_norm(x)))
        keys, values = self.project_k(x) * s**-0.5, self.project_v(x)
        slots = self.slot_mu.expand(b, k, s) if c["learned"] else self.slot_mu + self.slot_log_sigma.exp() * noise
        for _ in range(c["iterations"]):
            attention = (keys @ self.project_q(self.norm_slots(slots)).transpose(1, 2)).softmax(-1)
            w = attention + c["epsilon"]
            u = (w / w.sum(1, keepdim=True)).transpose(1, 2) @ values
            slots = self.gru(u.reshape(b * k, s), slots.reshape(b * k, s)).view(b, k, s)
            slots = slots + self.mlp(self.norm_mlp(slots))
        return (self.out_linear(self.out_layer_norm(slots)) if c["out"] else slots), attention.transpose(1, 2)


class Broadcast(nn.Module):
    def __init__(self, slot, channels, layers, kernel, side):
        super().__init__()
        self.side = side >> layers
        self.position = nn.Module()
        self.position.dense = nn.Linear(2, slot)
        sizes = [slot] + [channels] * layers
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(a, b, kernel, stride=2, padding=kernel // 2, output_padding=1)
            for a, b in zip(sizes, sizes[1:])
        )
        self.output = nn.ConvTranspose2d(sizes[-1], 4, 1)

    def forward(self, slots):
        b, k, s = slots.shape
        along = torch.linspace(0, 1, self.side)
        grid = torch.stack(torch.meshgrid(along, along, indexing="ij"), -1)
        position = self.position.dense((grid - 0.5) * 2).permute(2, 0, 1)
        x = slots.flatten(0, 1)[..., None, None].expand(-1, -1, self.side, self.side) + position
        for layer in self.layers:
            x = layer(x).relu()
        x = self.output(x).unflatten(0, (b, k))
        masks = x[:, :, 3:].softmax(1)
        return (x[:, :, :3].tanh() * masks).sum(1), masks[:, :, 0]


def noisy(clean, noise, t, betas):
    bars = torch.cumprod(1 - betas, 0)[t].view(-1, 1, 1, 1)
    return bars.sqrt() * clean + (1 - bars).sqrt() * noise


BATCH, SLOTS, SIDE = 2, 3, 16
SLOT_ATTENTION = dict(input=8, hidden=6, tokens=6, slot=6, mlp=12, out=0, iterations=3, slots=SLOTS, epsilon=1e-8,
                      position="savi", learned=False)  # fmt: skip
SLOT_DIFFUSION = dict(input=12, hidden=6, tokens=6, slot=6, mlp=12, out=0, iterations=3, slots=SLOTS, epsilon=1e-6,
                      position="soft", learned=True)  # fmt: skip
LSD = dict(input=6, hidden=6, tokens=6, slot=6, mlp=6, out=6, iterations=3, slots=SLOTS, epsilon=1e-6,
           position="grid", learned=False)  # fmt: skip
SMALL_UNET = dict(
    in_channels=3, out_channels=3, cross_attention_dim=6, block_out_channels=[4, 8], layers_per_block=1,
    norm_num_groups=2, attention_head_dim=[1, 2], sample_size=8,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
)  # fmt: skip
SMALL_POSITIONED = dict(SMALL_UNET, attention_head_dim=2, down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
                        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"])  # fmt: skip
SMALL_ENCODER = dict(
    sample_size=8, in_channels=4, out_channels=6, block_out_channels=[4, 4], layers_per_block=1, attention_head_dim=2,
    norm_num_groups=2, input_resolution=16, input_channels=3, down_block_types=["DownBlock2D"] * 2,
    up_block_types=["UpBlock2D"] * 2,
)  # fmt: skip


class Method:
    """Named parts, and one step's losses and intermediates."""

    def __init__(self, name):
        self.name = name
        make = getattr(self, name.replace("-", "_"))
        self.parts, self.step = make()
        for part, module in self.parts.items():
            fill(module, f"{part}.").train()

    def slot_attention(self):
        parts = dict(
            encoder=resnet([1, 1], 4, 2, 1, 2), slots=Slots(SLOT_ATTENTION), image=Broadcast(6, 5, 2, 5, SIDE)
        )

        def step(i):
            pictures = numbers(f"pictures.{i}", BATCH, 3, SIDE, SIDE)
            features = parts["encoder"](pictures).flatten(2).transpose(1, 2)
            slots, attention = parts["slots"](features, noise(i))
            painted, masks = parts["image"](slots)
            return F.mse_loss(painted, pictures), dict(
                features=features, slots=slots, attention=attention, painted=painted, masks=masks
            )

        return parts, step

    def slot_diffusion(self):
        parts = dict(slots=Slots(SLOT_DIFFUSION), image=with_dropout(UNet2DConditionModel(**SMALL_UNET)))

        def step(i):
            features = numbers(f"features.{i}", BATCH, 16, 12)
            slots, attention = parts["slots"](features, noise(i))
            # What latent diffusion calls linear is linear in the root (its `make_beta_schedule`).
            betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
            return *denoise(parts["image"], slots, i, betas), dict(slots=slots, attention=attention)

        return parts, lambda i: merge(step(i))

    def lsd_scratch(self):
        unet = add_positions(UNet2DConditionModel(**SMALL_POSITIONED), 8)
        parts = dict(encoder=UNetEncoder(**SMALL_ENCODER), slots=Slots(LSD), image=unet)

        def step(i):
            pictures = numbers(f"pictures.{i}", BATCH, 3, SIDE, SIDE)
            features = parts["encoder"](pictures).flatten(2).transpose(1, 2)
            slots, attention = parts["slots"](features, noise(i))
            more = dict(features=features, slots=slots, attention=attention)
            return *denoise(unet, slots, i, torch.linspace(0.00085, 0.012, 1000)), more

        return parts, lambda i: merge(step(i))


def noise(i):
    return numbers(f"slots.{i}", BATCH, SLOTS, 6) * 3**0.5


class Dropped(nn.Module):
    """Dropout by the number of the step and of the block, in the order of computation."""

    share, step, block = 0.1, 0, 0

    def forward(self, x):
        mask = numbers(f"dropped.{Dropped.step}.{Dropped.block}", *x.shape) >= 2 * self.share - 1
        Dropped.block += 1
        return x * mask / (1 - self.share)


def with_dropout(unet):
    for layer in list(unet.modules()):
        if isinstance(layer, ResnetBlock2D):
            layer.dropout = Dropped()
    return unet


def denoise(unet, slots, i, betas):
    Dropped.step, Dropped.block = i, 0
    clean, e = numbers(f"latents.{i}", BATCH, 3, 8, 8), numbers(f"noise.{i}", BATCH, 3, 8, 8) * 3**0.5
    t = torch.tensor([(37 * i + 101) % 1000, (613 * i + 5) % 1000])
    predicted = unet(noisy(clean, e, t, betas), t, slots).sample
    return F.mse_loss(predicted, e), dict(predicted=predicted)


def merge(parts):
    loss, a, b = parts
    return loss, a | b


def methods(out, names=("slot-attention", "slot-diffusion", "lsd-scratch")):
    for name in names:
        method = Method(name)
        parameters = [p for m in method.parts.values() for p in m.parameters()]
        adam = torch.optim.Adam(parameters, lr=RATE, eps=EPSILON)
        before = {(part, k): p.clone() for part, m in method.parts.items() for k, p in m.named_parameters()}
        tensors, losses = {}, []
        for i in range(STEPS):
            loss, seen = method.step(i)
            adam.zero_grad()
            loss.backward()
            losses.append(loss.item())
            if i == 0:
                tensors |= {f"out.{k}": v for k, v in seen.items()}
                for part, module in method.parts.items():
                    tensors |= {f"gradient.{part}.{k}": some(p.grad) for k, p in module.named_parameters()}
            nn.utils.clip_grad_norm_(parameters, CLIP)
            adam.step()
        for part, module in method.parts.items():
            tensors |= {f"moved.{part}.{k}": some(p - before[part, k]) for k, p in module.named_parameters()}
        tensors["out.losses"] = torch.tensor(losses)
        save(out / f"{name}.safetensors", tensors)
        print("  losses", " ".join(f"{x:.4f}" for x in losses), "parameters", sum(p.numel() for p in parameters))


def quantised(vq, x):
    """The codebook's terms, and the picture painted from the nearest codes."""
    h = vq.encode(x).latents
    rows = h.permute(0, 2, 3, 1).reshape(-1, 3)
    codes = torch.cdist(rows, vq.quantize.embedding.weight).argmin(1)
    nearest = vq.quantize.embedding(codes)
    quant = F.mse_loss(rows, nearest.detach()) + 0.25 * F.mse_loss(nearest, rows.detach())
    straight = (rows + (nearest - rows).detach()).reshape(2, 8, 8, 3).permute(0, 3, 1, 2)
    return quant, vq.decoder(vq.post_quant_conv(straight))


def quantiser(out):
    """One step of the autoencoder's training: SlotDiffusion's losses without the perceptual term."""
    vq, x = fill(VQModel(**AUTOENCODER)).train(), numbers("in.vqvae", 2, 3, 16, 16)
    quant, picture = quantised(vq, x)
    (quant + F.mse_loss(picture, x)).backward()
    tensors = {f"gradient.autoencoder.{k}": some(p.grad) for k, p in vq.named_parameters()}
    tensors |= {"out.quantisation": quant[None], "out.reconstruction": F.mse_loss(picture, x)[None]}
    save(out / "autoencoder.safetensors", tensors)


def perceptual(out):
    """The same with the perceptual term: absolute error and LPIPS on a narrow VGG16 (SlotDiffusion, `VQLPIPSLoss`)."""
    from generation_nets import perceptual as narrow

    vq, trunk = fill(VQModel(**AUTOENCODER)).train(), narrow("vgg", 32)
    with torch.no_grad():
        for name, value in trunk.state_dict().items():
            if name.startswith("lin"):
                value.copy_(numbers("lpips." + name.replace("lins.", "lin"), *value.shape).abs())
            elif name.endswith("bias"):
                # Above zero, where features have a length that has a gradient.
                value.copy_(1 + 0.2 * numbers("lpips." + name, *value.shape))
            elif name.startswith("net."):
                value.copy_(numbers("lpips." + name, *value.shape) * (3 / value[0].numel()) ** 0.5)
    x = numbers("in.vqvae", 2, 3, 16, 16)
    with torch.enable_grad():  # generation_nets turns gradients off
        quant, picture = quantised(vq, x)
        distance = trunk(picture, x).mean()
        (quant + F.l1_loss(picture, x) + distance).backward()
    tensors = {f"gradient.autoencoder.{k}": some(p.grad) for k, p in vq.named_parameters()}
    assert all(torch.isfinite(v).all() for v in tensors.values())
    tensors |= {"out.perceptual": distance[None], "out.reconstruction": F.l1_loss(picture, x)[None]}
    save(out / "autoencoder-lpips.safetensors", tensors)
    save(out / "lpips.safetensors", {k: v for k, v in trunk.state_dict().items() if not k.startswith("lins.")})


if __name__ == "__main__":
    torch.set_num_threads(1)
    networks(Path(sys.argv[1]) / "pixels")
    trainer = Path(sys.argv[2]) / "pixels"
    trainer.mkdir(parents=True, exist_ok=True)
    methods(trainer)
    quantiser(trainer)
    perceptual(trainer)
