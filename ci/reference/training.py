"""Slot attention, feature decoder and losses in PyTorch: forward, losses and gradients.

A transcription of the published definitions (MultiHeadSTEVESA of Latent Slot Diffusion, the MLP
decoder of DINOSAUR as GLASS uses it, GLASS's losses) on small random weights. Writes one
safetensors file a configuration; tensor names are those of the published checkpoints.

usage: training.py OUT_DIR
"""

import sys
from itertools import permutations
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file
from scipy.optimize import linear_sum_assignment

LAMBDA_SEMANTIC, LAMBDA_INSTANCE = 0.7, 0.9


class Position(nn.Module):
    def __init__(self, size, side):
        super().__init__()
        self.projection = nn.Conv2d(4, size, 1)
        centre = (torch.arange(side) + 0.5) / side
        row = centre[:, None].expand(side, side)
        column = centre[None].expand(side, side)
        self.register_buffer("pe", torch.stack([row, column, 1 - row, 1 - column])[None])

    def forward(self, x):  # [batch, tokens, size]
        return x + self.projection(self.pe).flatten(2).transpose(1, 2)


class SlotAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        i, s = c["input"], c["slot"]
        if c["position"]:
            self.pos = Position(i, c["side"])
        self.in_layer_norm = nn.LayerNorm(i)
        self.in_mlp = nn.Sequential(nn.Linear(i, i), nn.ReLU(), nn.Linear(i, i))
        if c["learned"]:
            self.slot_mu = nn.Parameter(torch.randn(1, c["slots"], s))
        else:
            self.slot_mu = nn.Parameter(torch.randn(1, 1, s) * 0.3)
            self.slot_log_sigma = nn.Parameter(torch.randn(1, 1, s) * 0.3)
        self.norm_inputs = nn.LayerNorm(i)
        self.norm_slots = nn.LayerNorm(s)
        self.norm_mlp = nn.LayerNorm(s)
        self.project_q = nn.Linear(s, s, bias=False)
        self.project_k = nn.Linear(i, s, bias=False)
        self.project_v = nn.Linear(i, s, bias=False)
        self.gru = nn.GRUCell(s, s)
        self.mlp = nn.Sequential(nn.Linear(s, c["mlp"]), nn.ReLU(), nn.Linear(c["mlp"], s))
        self.out_layer_norm = nn.LayerNorm(s)
        self.out_linear = nn.Linear(s, c["out"])

    def forward(self, x, noise):
        c, h = self.c, self.c["heads"]
        b, k, s = noise.shape
        if c["position"]:
            x = self.pos(x)
        x = self.norm_inputs(self.in_mlp(self.in_layer_norm(x)))
        n = x.shape[1]
        slots = self.slot_mu.expand(b, k, s) if c["learned"] else self.slot_mu + self.slot_log_sigma.exp() * noise
        split = lambda t: t.view(b, -1, h, s // h).transpose(1, 2)
        keys, values = split(self.project_k(x)) * s**-0.5, split(self.project_v(x))
        for _ in range(c["iterations"]):
            previous = slots
            q = split(self.project_q(self.norm_slots(slots)))
            logits = keys @ q.transpose(2, 3)  # [b, h, n, k]
            joint = logits.permute(0, 2, 1, 3).reshape(b, n, h * k).softmax(-1)
            attention = joint.view(b, n, h, k).transpose(1, 2)
            w = attention + c["epsilon"]
            w = w / w.sum(2, keepdim=True)
            u = (w.transpose(2, 3) @ values).transpose(1, 2).reshape(b * k, s)
            slots = self.gru(u, previous.reshape(b * k, s)).view(b, k, s)
            slots = slots + self.mlp(self.norm_mlp(slots))
        return self.out_linear(self.out_layer_norm(slots)), attention.sum(1).transpose(1, 2)


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(1, c["side"] ** 2, c["out"]) * 0.3)
        sizes = [c["out"], *[c["hidden"]] * c["layers"], c["input"] + 1]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])

    def forward(self, slots, tokens):
        y = slots[:, :, None] + self.pos[:, None, tokens]
        for layer in self.layers[:-1]:
            y = layer(y).relu()
        y = self.layers[-1](y)
        alpha = y[..., -1:].softmax(1)
        return (alpha * y[..., :-1]).sum(1), alpha[..., 0]


def only_best(iou, rows, columns):
    """A golden value needs an assignment that no other equals."""
    k, g = iou.shape
    best = iou[rows, columns].sum()
    for chosen in permutations(range(k), min(k, g)):
        for order in permutations(range(g), min(k, g)):
            other = sum(iou[a, b] for a, b in zip(chosen, order))
            same = set(zip(chosen, order)) == set(zip(rows.tolist(), columns.tolist()))
            if not same and best - other < 1e-3:
                raise Tie


class Tie(Exception):
    pass


def semantic(attention, masks, side, resolution):
    b, k, _ = attention.shape
    a = F.interpolate(attention.view(b, k, side, side), size=resolution, mode="bilinear", align_corners=False)
    a = a.clamp(1e-6, 1 - 1e-6)
    terms = []
    for p, m in zip(a, masks):
        known = m != 255
        labels = [v for v in m.unique().tolist() if v != 255]
        if not labels:
            continue
        truth = torch.stack([m == v for v in labels]).float()
        hard = F.one_hot(p.detach().argmax(0), k).permute(2, 0, 1).float() * known
        both = torch.einsum("khw,ghw->kg", hard, truth)
        either = hard.sum((1, 2))[:, None] + truth.sum((1, 2))[None] - both
        iou = (both / (either + 1e-8)).double()
        rows, columns = linear_sum_assignment(1 - iou.numpy())
        only_best(iou, rows, columns)
        pair = F.binary_cross_entropy(p[rows][:, known], truth[columns][:, known])
        terms.append(pair)
    return torch.stack(terms).mean()


CONFIGS = {
    # Slots narrower than the features, no position, one head.
    "narrow": dict(input=12, slot=8, mlp=16, out=10, heads=1, iterations=5, slots=4, side=4, epsilon=1e-6,
                   position=False, learned=False, hidden=16, layers=2, share=6),
    # The published form: position, and two heads; learned start.
    "heads": dict(input=8, slot=12, mlp=12, out=8, heads=2, iterations=3, slots=3, side=4, epsilon=1e-6,
                  position=True, learned=True, hidden=12, layers=3, share=16),
}


def main(out):
    for name, c in CONFIGS.items():
        for seed in range(1000):
            try:
                write(Path(out) / f"training-{name}.safetensors", c, seed)
                break
            except Tie:
                continue


def write(path, c, seed):
    torch.manual_seed(seed)
    resolution, batch = 8, 3
    slots_net, decoder = SlotAttention(c), Decoder(c)
    for p in slots_net.parameters():
        if p.dim() == 1:  # layer norms and biases that are neither 0 nor 1
            p.data += 0.2 * torch.randn_like(p)
    slots_net.project_k.weight.data *= 4  # slots that own different tokens
    features = torch.randn(batch, c["side"] ** 2, c["input"])
    noise = torch.randn(batch, c["slots"], c["slot"])
    masks = torch.randint(0, 3, (batch, 2, 2)).repeat_interleave(4, 1).repeat_interleave(4, 2) * 3
    masks[:, 3:5, 2:6] = 255
    masks[2] = 255  # nothing known: no semantic loss
    tokens = torch.randperm(c["side"] ** 2)[: c["share"]].sort().values
    slots, attention = slots_net(features, noise)
    decoded, alpha = decoder(slots, tokens)
    instance = F.mse_loss(decoded, features[:, tokens])
    bce = semantic(attention, masks, c["side"], resolution)
    (LAMBDA_SEMANTIC * bce + LAMBDA_INSTANCE * instance).backward()
    tensors = {f"slots.{k}": v for k, v in slots_net.state_dict().items()}
    tensors |= {f"features.{k}": v for k, v in decoder.state_dict().items()}
    tensors |= {f"gradient.slots.{k}": v.grad for k, v in slots_net.named_parameters()}
    tensors |= {f"gradient.features.{k}": v.grad for k, v in decoder.named_parameters()}
    tensors |= {
        "in.features": features,
        "in.noise": noise,
        "in.masks": masks.float(),
        "in.tokens": tokens.float(),
        "out.slots": slots,
        "out.attention": attention,
        "out.decoded": decoded,
        "out.alpha": alpha,
        "out.instance": instance[None],
        "out.semantic": bce[None],
    }
    save_file({k: v.detach().contiguous().float() for k, v in tensors.items()}, path)
    print(path.stem, f"seed {seed} instance {instance:.6f} semantic {bce:.6f}")


if __name__ == "__main__":
    main(sys.argv[1])
