"""The networks and guidance of methods.py: slot attention, feature decoders, matching, last ViT blocks.

Tensor names are those of the published checkpoints (Latent Slot Diffusion, SPOT).
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

# Sides of the tokens and of the masks, width of the features; ci/bench/training.py sets others.
SIDE, SIZE, MASK_SIDE = 4, 16, 8


class Tie(Exception):
    """A choice that rounding could turn: another seed is tried."""


# Slots


class Position(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.projection = nn.Conv2d(4, size, 1)
        centre = (torch.arange(SIDE) + 0.5) / SIDE
        row, column = centre[:, None].expand(SIDE, SIDE), centre[None].expand(SIDE, SIDE)
        self.register_buffer("pe", torch.stack([row, column, 1 - row, 1 - column])[None])

    def forward(self, x):
        return x + self.projection(self.pe).flatten(2).transpose(1, 2)


class SlotAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, s, tokens = c, c["size"], c["size"] if c["tokens"] == "slots" else SIZE
        if c["position"] == "grid":
            self.pos = Position(SIZE)
        self.in_layer_norm = nn.LayerNorm(SIZE)
        self.in_mlp = nn.Sequential(nn.Linear(SIZE, SIZE), nn.ReLU(), nn.Linear(SIZE, tokens))
        if c["initial"] == "gaussian":
            self.slot_mu = nn.Parameter(torch.randn(1, 1, s) * 0.3)
            self.slot_log_sigma = nn.Parameter(torch.randn(1, 1, s) * 0.3)
        elif c["initial"] == "learned":
            self.slot_mu = nn.Parameter(torch.randn(1, c["count"], s))
        else:
            self.bbox_mlp = nn.Sequential(nn.Linear(4, 2 * s), nn.ReLU(), nn.Linear(2 * s, s))
        self.norm_inputs = nn.LayerNorm(tokens)
        self.norm_slots = nn.LayerNorm(s)
        self.norm_mlp = nn.LayerNorm(s)
        self.project_q = nn.Linear(s, s, bias=False)
        self.project_k = nn.Linear(tokens, s, bias=False)
        self.project_v = nn.Linear(tokens, s, bias=False)
        self.gru = nn.GRUCell(s, s)
        self.mlp = nn.Sequential(nn.Linear(s, c["mlp_size"]), nn.ReLU(), nn.Linear(c["mlp_size"], s))
        if c["output"] == "on":
            self.out_layer_norm = nn.LayerNorm(s)
            self.out_linear = nn.Linear(s, c["out_size"])

    def start(self, noise, boxes):
        kind = self.c["initial"]
        if kind == "gaussian":
            return self.slot_mu + self.slot_log_sigma.exp() * noise
        if kind == "learned":
            return self.slot_mu.expand(len(noise), -1, -1)
        rows = torch.full((len(noise), noise.shape[1], 4), -1.0, dtype=noise.dtype)
        for row, found in zip(rows, boxes):
            for slot, box in enumerate(found[: noise.shape[1]]):
                row[slot] = torch.tensor(box, dtype=noise.dtype) * 256
        return self.bbox_mlp(rows)

    def forward(self, x, noise, boxes):
        c = self.c
        b, k, s = noise.shape
        x = self.pos(x) if c["position"] == "grid" else x
        x = self.norm_inputs(self.in_mlp(self.in_layer_norm(x)))
        keys, values = self.project_k(x) * s**-0.5, self.project_v(x)
        initial = slots = self.start(noise, boxes)
        absent = None
        if c["known_count"] != "off":
            more = 1 if c["known_count"] == "objects-and-background" else 0
            counts = torch.tensor([min(max(len(found) + more, 1), k) for found in boxes])
            absent = torch.arange(k)[None] >= counts[:, None]
        for iteration in range(c["iterations"]):
            if iteration == c["iterations"] - 1 and c["truncation"] == "bi-level":
                slots = slots.detach() + initial - initial.detach()
            previous = slots
            logits = keys @ self.project_q(self.norm_slots(slots)).transpose(1, 2)  # [b, n, k]
            if absent is not None:
                logits = logits.masked_fill(absent[:, None], float("-inf"))
            attention = logits.softmax(-1)
            w = attention + c["epsilon"]
            u = (w / w.sum(1, keepdim=True)).transpose(1, 2) @ values
            slots = self.gru(u.reshape(b * k, s), previous.reshape(b * k, s)).view(b, k, s)
            slots = slots + self.mlp(self.norm_mlp(slots))
        out = self.out_linear(self.out_layer_norm(slots)) if c["output"] == "on" else slots
        return out, slots, attention.transpose(1, 2), logits.transpose(1, 2)


# Decoders of features


class MlpDecoder(nn.Module):
    def __init__(self, c, slot_size):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(1, SIDE**2, slot_size) * 0.3)
        sizes = [slot_size, *[c["size"]] * c["layers"], SIZE + 1]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])

    def forward(self, slots, target, order):
        y = slots[:, :, None] + self.pos[:, None]
        for layer in self.layers[:-1]:
            y = layer(y).relu()
        y = self.layers[-1](y)
        alpha = y[..., -1:].softmax(1)
        return (alpha * y[..., :-1]).sum(1), alpha[..., 0]


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        for name in "qkvo":
            setattr(self, f"proj_{name}", nn.Linear(size, size, bias=False))

    def forward(self, x, memory, causal):
        split = lambda t: t.unflatten(2, (self.heads, -1)).transpose(1, 2)
        q, k, v = split(self.proj_q(x)), split(self.proj_k(memory)), split(self.proj_v(memory))
        logits = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)
        if causal:
            n = x.shape[1]
            logits = logits.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
        weights = logits.softmax(-1)
        return self.proj_o((weights @ v).transpose(1, 2).flatten(2)), weights


class Block(nn.Module):
    def __init__(self, c, first):
        super().__init__()
        self.first = first
        self.self_attn_layer_norm = nn.LayerNorm(SIZE)
        self.self_attn = Attention(SIZE, c["heads"])
        self.encoder_decoder_attn_layer_norm = nn.LayerNorm(SIZE)
        self.encoder_decoder_attn = Attention(SIZE, c["heads"])
        self.ffn_layer_norm = nn.LayerNorm(SIZE)
        self.ffn = nn.Sequential(nn.Linear(SIZE, c["size"]), nn.ReLU(), nn.Linear(c["size"], SIZE))

    def forward(self, x, memory):
        normal = self.self_attn_layer_norm(x)
        # The first block adds to its normalised input.
        x = (normal if self.first else x) + self.self_attn(normal, normal, True)[0]
        attended, weights = self.encoder_decoder_attn(self.encoder_decoder_attn_layer_norm(x), memory, False)
        x = x + attended
        return x + self.ffn(self.ffn_layer_norm(x)), weights


def spiral_from_top_right():
    """Down the right column, then left, up and right, inwards: the remaining grid is turned after each side."""
    rest, out = [list(row) for row in torch.rot90(torch.arange(SIDE**2).view(SIDE, SIDE)).tolist()], []
    while rest and rest[0]:
        out += rest.pop(0)
        rest = [list(row) for row in zip(*rest)][::-1]
    return out


def token_orders(kind):
    grid = torch.arange(SIDE**2).view(SIDE, SIDE)
    if kind == "standard":
        return [grid.flatten().tolist()]
    across, down = (1,), (0,)
    turned = [grid, grid.T, grid.flip(across).T, grid.flip(across), grid.flip((0, 1)).T, grid.flip((0, 1)),
              grid.flip(down).T, grid.flip(down)]
    return [g.flatten().tolist() for g in turned] + [spiral_from_top_right()[::-1]]


class TransformerDecoder(nn.Module):
    def __init__(self, c, slot_size):
        super().__init__()
        self.orders = [torch.tensor(order) for order in token_orders(c["orders"])]
        self.bos_tokens = nn.Parameter(torch.randn(len(self.orders), 1, 1, SIZE))
        project = lambda inputs: nn.Sequential(nn.Linear(inputs, SIZE, bias=False), nn.LayerNorm(SIZE))
        self.input_proj, self.slot_proj = project(SIZE), project(slot_size)
        self.dec = nn.Module()
        self.dec.blocks = nn.ModuleList([Block(c, index == 0) for index in range(c["layers"])])
        self.dec.layer_norm = nn.LayerNorm(SIZE)

    def forward(self, slots, target, order):
        p = self.orders[order]
        first = self.bos_tokens[order].expand(len(target), -1, -1)
        x = self.input_proj(torch.cat([first, target[:, p][:, :-1]], 1))
        memory = self.slot_proj(slots)
        for block in self.dec.blocks:
            x, weights = block(x, memory)
        masks = weights.sum(1)
        masks = masks / masks.sum(2, keepdim=True)
        back = p.argsort()
        return self.dec.layer_norm(x)[:, back], masks[:, back].transpose(1, 2)


def feature_decoder(c, slot_size):
    if c["kind"] == "none":
        return None
    return {"mlp": MlpDecoder, "transformer": TransformerDecoder}[c["kind"]](c, slot_size)


# Guidance


def assign(cost):
    """The rows' columns of least total cost (Jonker and Volgenant), for at most as many rows as columns.

    Small masks often tie, and no source says what then: ties are broken here as the trainer breaks
    them (trainer/metrics/src/assignment.rs), which scipy does otherwise."""
    rows, columns = len(cost), len(cost[0])
    u, v, row_of, previous = [0.0] * (rows + 1), [0.0] * (columns + 1), [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        row_of[0], column = row, 0
        slack, visited = [float("inf")] * (columns + 1), [False] * (columns + 1)
        while row_of[column]:
            visited[column], current = True, row_of[column]
            step, following = float("inf"), 0
            for other in range(1, columns + 1):
                if visited[other]:
                    continue
                reduced = cost[current - 1][other - 1] - u[current] - v[other]
                if reduced < slack[other]:
                    slack[other], previous[other] = reduced, column
                if slack[other] < step:
                    step, following = slack[other], other
            for other in range(columns + 1):
                if visited[other]:
                    u[row_of[other]] += step
                    v[other] -= step
                else:
                    slack[other] -= step
            column = following
        while column:
            row_of[column] = row_of[previous[column]]
            column = previous[column]
    found = {row_of[c] - 1: c - 1 for c in range(1, columns + 1) if row_of[c]}
    chosen = [found[row] for row in range(rows)]
    scipy = linear_sum_assignment(cost)[1]
    total = lambda columns: sum(cost[row][column] for row, column in enumerate(columns))
    assert abs(total(chosen) - total(scipy)) < 1e-9
    return chosen


def matched_masks(attention, masks):
    """GLASS: slots matched to the components of a mask, binary cross entropy of each pair."""
    b, k, _ = attention.shape
    a = F.interpolate(attention.view(b, k, SIDE, SIDE), size=MASK_SIDE, mode="bilinear", align_corners=False)
    clear(a.detach())
    a, terms = a.clamp(1e-6, 1 - 1e-6), []
    for p, m in zip(a, masks):
        known = m != 255
        labels = [v for v in m.unique().tolist() if v != 255]
        if not labels:
            continue
        truth = torch.stack([m == v for v in labels])
        hard = F.one_hot(p.detach().argmax(0), k).permute(2, 0, 1).bool() & known
        cost = [[1 - both / (int(h.sum()) + int(t.sum()) - both + 1e-8) for t in truth
                 for both in [int((h & t).sum())]] for h in hard]
        if k <= len(labels):
            pairs = list(enumerate(assign(cost)))
        else:
            pairs = [(slot, label) for label, slot in enumerate(assign([list(row) for row in zip(*cost)]))]
        slots, labelled = map(list, zip(*pairs))
        terms.append(F.binary_cross_entropy(p[slots][:, known], truth[labelled][:, known].to(p.dtype)))
    return torch.stack(terms).mean()


def clear(maps):
    """The largest map of every place is so by more than rounding."""
    top = maps.topk(2, 1).values
    if (top[:, 0] - top[:, 1]).min() < 2e-6:
        raise Tie


def distilled(logits, attention, masks):
    """SPOT: cross entropy over the student's slots, matched to the teacher's masks by 1 - IoU."""
    clear(attention.detach())
    clear(masks)
    labels, own, k = masks.argmax(1), attention.detach().argmax(1), masks.shape[1]
    permuted = []
    for l, o, x in zip(labels, own, logits):
        cost = [[1 - both / max(int((o == s).sum()) + int((l == t).sum()) - both, 1e-6) if (l == t).any() else 1e3
                 for s in range(k) for both in [int(((o == s) & (l == t)).sum())]] for t in range(k)]
        permuted.append(x[assign(cost)])
    return F.cross_entropy(torch.stack(permuted), labels)


# The encoder of SPOT's student


class Tail(nn.Module):
    """The last blocks of a ViT, and its tokens without the class."""

    def __init__(self, vit, first):
        super().__init__()
        self.layers = nn.ModuleList(vit.layers[first:])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x[:, 1:]

    NAMES = [("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("attention.q_proj", "attention.query"),
             ("attention.k_proj", "attention.key"), ("attention.v_proj", "attention.value"),
             ("attention.o_proj", "attention.output"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")]

    def published(self, name):
        for theirs, ours in self.NAMES:
            name = name.replace(theirs, ours)
        return name.replace("layers.", "blocks.", 1)
