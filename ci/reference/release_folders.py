"""Small folders in the layouts that GLASS, Latent Slot Diffusion, SPOT and DINOSAUR publish, with random weights, and
what the published computation makes of them: our own transcriptions, with the tensor names of the originals.

    python ci/reference/release_folders.py                 # writes the goldens of the tests
    python ci/reference/release_folders.py --check DIR     # what `trainer export` wrote: loads strictly, computes
"""

import argparse
import json
import math
import pathlib

import torch
from safetensors.torch import load_file, save_file
from torch import nn

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "trainer/tests/goldens/release"


# --- Latent Slot Diffusion and GLASS: MultiHeadSTEVESA ---------------------------------------------------------------

class Cartesian(nn.Module):
    """`pos`: a 1 x 1 convolution of row, column and their complements, the grid kept as a buffer."""

    def __init__(self, channels, side):
        super().__init__()
        self.projection = nn.Conv2d(4, channels, 1)
        centres = (torch.arange(side) + 0.5) / side
        rows, columns = centres[:, None].expand(side, side), centres[None].expand(side, side)
        self.register_buffer("pe", torch.stack([rows, columns, 1 - rows, 1 - columns])[None])

    def forward(self, x):
        return x + self.projection(self.pe)


class MultiHeadSTEVESA(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        inner, slot, hidden = config["input_size"], config["slot_size"], config["mlp_hidden_size"]
        self.pos = Cartesian(inner, config["input_resolution"])
        self.in_layer_norm = nn.LayerNorm(inner)
        self.in_mlp = nn.Sequential(nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, inner))
        starts = config["num_slots"] if config["learnable_slot_init"] else 1
        self.slot_mu = nn.Parameter(torch.empty(1, starts, slot))
        nn.init.xavier_uniform_(self.slot_mu)
        if not config["learnable_slot_init"]:
            self.slot_log_sigma = nn.Parameter(torch.empty(1, 1, slot))
            nn.init.xavier_uniform_(self.slot_log_sigma)
        self.norm_inputs, self.norm_slots, self.norm_mlp = nn.LayerNorm(inner), nn.LayerNorm(slot), nn.LayerNorm(slot)
        self.project_q = nn.Linear(slot, slot, bias=False)
        self.project_k = nn.Linear(inner, slot, bias=False)
        self.project_v = nn.Linear(inner, slot, bias=False)
        self.gru = nn.GRUCell(slot, slot)
        self.mlp = nn.Sequential(nn.Linear(slot, hidden), nn.ReLU(), nn.Linear(hidden, slot))
        self.out_layer_norm = nn.LayerNorm(slot)
        self.out_linear = nn.Linear(slot, config["out_size"])

    def forward(self, features, noise):
        """features [b, c, side, side], noise [b, slots, slot_size] -> slots [b, slots, out], attention [b, slots, n]"""
        config, heads = self.config, self.config["num_heads"]
        x = self.pos(features).flatten(2).transpose(1, 2)
        x = self.norm_inputs(self.in_mlp(self.in_layer_norm(x)))
        split = lambda y: y.unflatten(-1, (heads, -1)).transpose(1, 2)  # [b, heads, rows, width]
        keys, values = split(self.project_k(x)) * config["slot_size"] ** -0.5, split(self.project_v(x))
        if config["learnable_slot_init"]:
            slots = self.slot_mu.expand(len(x), -1, -1)
        else:
            slots = self.slot_mu + self.slot_log_sigma.exp() * noise
        for _ in range(config["num_iterations"]):
            before, logits = slots, keys @ split(self.project_q(self.norm_slots(slots))).transpose(-1, -2)
            # One softmax over heads and slots.
            joint = logits.transpose(1, 2).flatten(2).softmax(-1).unflatten(-1, (heads, -1)).transpose(1, 2)
            weights = joint + config["epsilon"]
            weights = weights / weights.sum(-2, keepdim=True)
            updates = (weights.transpose(-1, -2) @ values).transpose(1, 2).flatten(2)
            slots = self.gru(updates.flatten(0, 1), before.flatten(0, 1)).unflatten(0, before.shape[:2])
            slots = slots + self.mlp(self.norm_mlp(slots))
        return self.out_linear(self.out_layer_norm(slots)), joint.sum(1).transpose(1, 2)


CONFIG = {"_class_name": "MultiHeadSTEVESA", "_diffusers_version": "0.21.4", "bi_level": False, "epsilon": 1e-6,
          "input_resolution": 4, "input_size": 12, "learnable_slot_init": False, "mlp_hidden_size": 10, "num_heads": 1,
          "num_iterations": 3, "num_slots": 3, "slot_size": 8, "out_size": 6}


def diffusers_folder(name, config):
    """`checkpoint/multiheadstevesa/` as `save_pretrained` writes it."""
    model = randomised(MultiHeadSTEVESA(config))
    folder = GOLDENS / name / "checkpoint/multiheadstevesa"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file(model.state_dict(), folder / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    side, slots = config["input_resolution"], config["num_slots"]
    features = torch.randn(2, config["input_size"], side, side)
    noise = torch.randn(2, slots, config["slot_size"])
    found, attention = model(features, noise)
    tokens = features.flatten(2).transpose(1, 2)
    keep(name, features=tokens, noise=noise, slots=found, attention=attention)


# --- SPOT ------------------------------------------------------------------------------------------------------------

class SpotSlots(nn.Module):
    """`slot_attn.slot_attention`"""

    def __init__(self, inner, slot, hidden):
        super().__init__()
        self.norm_inputs, self.norm_slots, self.norm_mlp = nn.LayerNorm(inner), nn.LayerNorm(slot), nn.LayerNorm(slot)
        self.project_q = nn.Linear(slot, slot, bias=False)
        self.project_k = nn.Linear(inner, slot, bias=False)
        self.project_v = nn.Linear(inner, slot, bias=False)
        self.gru = nn.GRUCell(slot, slot)
        self.mlp = nn.Sequential(nn.Linear(slot, hidden), nn.ReLU(), nn.Linear(hidden, slot))

    def forward(self, x, slots, iterations):
        x = self.norm_inputs(x)
        keys, values = self.project_k(x) * slots.shape[-1] ** -0.5, self.project_v(x)
        for _ in range(iterations):
            before = slots
            attention = (keys @ self.project_q(self.norm_slots(slots)).transpose(1, 2)).softmax(-1)
            weights = attention + 1e-8
            weights = weights / weights.sum(1, keepdim=True)
            updates = weights.transpose(1, 2) @ values
            slots = self.gru(updates.flatten(0, 1), before.flatten(0, 1)).unflatten(0, before.shape[:2])
            slots = slots + self.mlp(self.norm_mlp(slots))
        return slots, attention


class SpotEncoder(nn.Module):
    """`slot_attn`"""

    def __init__(self, sizes, learned):
        super().__init__()
        inner, slot = sizes["features"], sizes["slot"]
        self.layer_norm = nn.LayerNorm(inner)
        self.mlp = nn.Sequential(nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, inner))
        if learned:
            self.slots_init = nn.Embedding(sizes["slots"], slot)
        else:
            self.slot_mu, self.slot_log_sigma = nn.Parameter(torch.zeros(1, 1, slot)), nn.Parameter(torch.zeros(1, 1, slot))
        self.slot_attention = SpotSlots(inner, slot, sizes["hidden"])

    def forward(self, x, noise, iterations):
        if hasattr(self, "slots_init"):
            start = self.slots_init.weight.expand(len(x), -1, -1)
        else:
            start = self.slot_mu + self.slot_log_sigma.exp() * noise
        return self.slot_attention(self.mlp(self.layer_norm(x)), start, iterations)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.proj_q, self.proj_k, self.proj_v, self.proj_o = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x, memory, mask=None):
        split = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = split(self.proj_q(x)), split(self.proj_k(memory)), split(self.proj_v(memory))
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if mask is not None:
            logits = logits.masked_fill(mask, -math.inf)
        weights = logits.softmax(-1)
        return self.proj_o((weights @ v).transpose(1, 2).flatten(2)), weights


class Block(nn.Module):
    def __init__(self, width, heads, tokens):
        super().__init__()
        self.self_attn_layer_norm, self.self_attn = nn.LayerNorm(width), Attention(width, heads)
        self.self_attn_mask = nn.Parameter(torch.triu(torch.ones(tokens, tokens, dtype=torch.bool), 1), False)
        self.encoder_decoder_attn_layer_norm, self.encoder_decoder_attn = nn.LayerNorm(width), Attention(width, heads)
        self.ffn_layer_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x, memory, first):
        normal = self.self_attn_layer_norm(x)
        x = normal if first else x  # the first block goes on from its normalised input
        x = x + self.self_attn(normal, normal, self.self_attn_mask)[0]
        update, weights = self.encoder_decoder_attn(self.encoder_decoder_attn_layer_norm(x), memory)
        x = x + update
        return x + self.ffn(self.ffn_layer_norm(x)), weights


class Decoder(nn.Module):
    def __init__(self, width, heads, tokens, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, tokens) for _ in range(blocks))
        self.layer_norm = nn.LayerNorm(width)


class Spot(nn.Module):
    """The trained parts of `SPOT`, without its encoders."""

    def __init__(self, sizes, learned):
        super().__init__()
        width = sizes["features"]
        self.sizes = sizes
        self.slot_attn = SpotEncoder(sizes, learned)
        self.input_proj = nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width))
        self.slot_proj = nn.Sequential(nn.Linear(sizes["slot"], width, bias=False), nn.LayerNorm(width))
        self.bos_tokens = nn.Parameter(torch.zeros(9, 1, 1, width))
        self.dec = Decoder(width, sizes["heads"], sizes["tokens"], sizes["blocks"])

    def forward(self, features, noise):
        """Slots, their attention, and the decoder's masks and reconstruction in the standard order."""
        slots, attention = self.slot_attn(features, noise, self.sizes["iterations"])
        begin = self.bos_tokens[0].expand(len(features), -1, -1)
        x, memory = self.input_proj(torch.cat([begin, features[:, :-1]], 1)), self.slot_proj(slots)
        for place, block in enumerate(self.dec.blocks):
            x, weights = block(x, memory, place == 0)
        masks = weights.sum(1)
        return slots, attention, masks / masks.sum(-1, keepdim=True), self.dec.layer_norm(x)


SPOT = {"features": 12, "slot": 8, "hidden": 10, "slots": 3, "iterations": 3, "heads": 3, "tokens": 16, "blocks": 2}


def spot_file(name, learned):
    model = randomised(Spot(SPOT, learned))
    tensors = {key: value for key, value in model.state_dict().items()}
    # Two frozen encoders lie in the file as well; a tensor of each stands for them.
    tensors |= {"encoder.cls_token": torch.randn(1, 1, 12), "second_encoder.cls_token": torch.randn(1, 1, 12)}
    (GOLDENS / name).mkdir(parents=True, exist_ok=True)
    save_file(tensors, GOLDENS / name / "checkpoint.safetensors")
    features, noise = torch.randn(2, 16, 12), torch.randn(2, 3, 8)
    slots, attention, masks, decoded = model(features, noise)
    keep(name, features=features, noise=noise, slots=slots, attention=attention.transpose(1, 2).contiguous(),
         masks=masks.transpose(1, 2).contiguous(), decoded=decoded)


# --- DINOSAUR in the object-centric learning framework ----------------------------------------------------------------

class Wrapped(nn.Module):
    """`Residual`: its child is called `module`."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return x + self.module(x)


class Layers(nn.Module):
    """`Sequential` of the framework: its children lie in `layers`."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)


def two_layers(inputs, hidden, outputs):
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class OclSlots(nn.Module):
    def __init__(self, slot):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(slot, slot, bias=False) for _ in range(3))
        self.gru = nn.GRUCell(slot, slot)
        self.norm_input, self.norm_slots = nn.LayerNorm(slot), nn.LayerNorm(slot)
        self.ff_mlp = Wrapped(two_layers(slot, 4 * slot, slot))


class Grouping(nn.Module):
    def __init__(self, features, slot):
        super().__init__()
        self.slot_attention = OclSlots(slot)
        self.positional_embedding = Layers(nn.Identity(), two_layers(features, features, slot))


class Conditioning(nn.Module):
    def __init__(self, slot):
        super().__init__()
        self.slots_mu, self.slots_logsigma = nn.Parameter(torch.zeros(1, 1, slot)), nn.Parameter(torch.zeros(1, 1, slot))


class PatchDecoder(nn.Module):
    def __init__(self, slot, features, tokens, hidden):
        super().__init__()
        widths = [slot, hidden, hidden, hidden]
        layers = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
        self.decoder = nn.Sequential(*layers, nn.Linear(hidden, features + 1))
        self.pos_embed = nn.Parameter(torch.randn(1, tokens, slot))

    def forward(self, slots):
        out = self.decoder(slots[:, :, None] + self.pos_embed)
        alpha = out[..., -1:].softmax(1)
        return (out[..., :-1] * alpha).sum(1), alpha[..., 0]


class Dinosaur(nn.Module):
    def __init__(self):
        super().__init__()
        self.models = nn.ModuleDict({"conditioning": Conditioning(8), "perceptual_grouping": Grouping(12, 8),
                                     "object_decoder": PatchDecoder(8, 12, 16, 10)})

    def forward(self, features, noise):
        grouping, start = self.models["perceptual_grouping"], self.models["conditioning"]
        attend = grouping.slot_attention
        x = attend.norm_input(grouping.positional_embedding.layers[1](features))
        keys, values = attend.to_k(x), attend.to_v(x)
        slots = start.slots_mu + start.slots_logsigma.exp() * noise
        for _ in range(3):
            before = slots
            logits = attend.to_q(attend.norm_slots(slots)) @ keys.transpose(1, 2) * slots.shape[-1] ** -0.5
            attention = logits.softmax(1)
            weights = attention + 1e-8
            updates = weights / weights.sum(-1, keepdim=True) @ values
            slots = attend.gru(updates.flatten(0, 1), before.flatten(0, 1)).unflatten(0, before.shape[:2])
            slots = attend.ff_mlp(slots)
        decoded, masks = self.models["object_decoder"](slots)
        return slots, attention, masks, decoded


def dinosaur_file(name):
    """The `state_dict` of a Lightning checkpoint; the frozen encoder is a tensor of it here."""
    model = randomised(Dinosaur())
    tensors = dict(model.state_dict()) | {"models.feature_extractor.model.cls_token": torch.randn(1, 1, 12)}
    (GOLDENS / name).mkdir(parents=True, exist_ok=True)
    save_file(tensors, GOLDENS / name / "model.safetensors")
    features, noise = torch.randn(2, 16, 12), torch.randn(2, 3, 8)
    slots, attention, masks, decoded = model(features, noise)
    keep(name, features=features, noise=noise, slots=slots, attention=attention, masks=masks, decoded=decoded)


# ---------------------------------------------------------------------------------------------------------------------

def randomised(model):
    """Random numbers also where layers start from zero or one."""
    for parameter in model.parameters():
        if parameter.dtype == torch.float32:
            parameter.data.uniform_(-0.5, 0.5)
    return model


def keep(name, **tensors):
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, GOLDENS / name / "golden.safetensors")


def check(folder):
    """Loads an exported folder strictly, as `from_pretrained` would, and runs the published computation on it."""
    folder = folder / "multiheadstevesa"
    config = json.loads((folder / "config.json").read_text())
    unknown = set(config) - set(CONFIG) - {"init_mlp"}
    assert not unknown, f"keys that the published class does not take: {sorted(unknown)}"
    model = MultiHeadSTEVESA(config)
    grid = model.pos.pe.clone()
    model.load_state_dict(load_file(folder / "diffusion_pytorch_model.safetensors"), strict=True)
    assert torch.equal(model.pos.pe, grid) or (model.pos.pe - grid).abs().max() < 1e-6
    side, count = config["input_resolution"], config["num_slots"]
    slots, attention = model(torch.randn(1, config["input_size"], side, side), torch.randn(1, count, config["slot_size"]))
    assert slots.isfinite().all() and (attention.sum(1) - 1).abs().max() < 1e-5
    print(f"{sum(p.numel() for p in model.parameters())} parameters loaded strictly; slots {tuple(slots.shape)}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", type=pathlib.Path, help="the `checkpoint` folder of an export")
    folder = arguments.parse_args().check
    torch.set_num_threads(1)
    if folder:
        return check(folder)
    torch.manual_seed(11)
    diffusers_folder("glass", CONFIG)
    diffusers_folder("lsd", {**CONFIG, "num_heads": 2, "learnable_slot_init": True, "epsilon": 1e-8, "num_iterations": 2})
    spot_file("spot", learned=True)
    spot_file("spot-teacher", learned=False)
    dinosaur_file("dinosaur")


if __name__ == "__main__":
    with torch.no_grad():
        main()
