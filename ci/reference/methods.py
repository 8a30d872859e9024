"""Every method of manifests/baselines in PyTorch: ten training steps on small random data.

A transcription of the published definitions (Latent Slot Diffusion and GLASS, DINOSAUR, SPOT), for
the checks of the trainer. A method's constants are read from the file that the trainer reads, with
the small sizes of trainer/goldens/methods/METHOD.toml above them; so are the random numbers
(streams.py). Writes one safetensors file a method: initial weights, data, what the first step
computes, gradients, the losses of ten steps and the weights after them. The UNet is diffusers', the
vision transformer transformers'; computed in f64, written in f32.

usage: methods.py [METHOD ...]
"""

import math
import shutil
import sys
import tomllib
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from method_networks import MASK_SIDE, SIDE, SIZE, SlotAttention, Tail, Tie, distilled, feature_decoder, matched_masks
from safetensors.torch import save_file
from streams import Stream
from transformers import ViTConfig, ViTModel

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "trainer/goldens/methods"
UNET = ROOT / "pipeline/nets/goldens/diffusion/unet-conv"
SCHEDULER = ROOT / "assets/mini/stable-diffusion/scheduler"
SAMPLES, TOKENS, SEED = 6, SIDE * SIDE, 7
# What the trainer takes where neither method nor run says anything (schemas/src/spec/trainer).
DEFAULTS = {
    "encoder": {"output": "normalised", "train_from": None},
    "slots": {"initial": "gaussian", "position": "grid", "tokens": "features", "output": "on", "truncation": "none",
              "known_count": "off", "iterations": 5, "epsilon": 1e-6},
    "features": {"kind": "mlp", "orders": "standard"},
    "image": {"kind": "stable-diffusion"},
    "guidance": {"source": "pseudo-masks"},
    "loss": {"diffusion": 1.0, "semantic": 0.7, "instance": 0.9},
    "optimizer": {"name": "adamw", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 1e-2, "clip": 1.0,
                  "clip_norm": "l2"},
    "phase1": {"floor": 0.0, "half_life": 100_000, "diffusion": "on", "schedule": "constant"},
    "phase2": {"floor": 0.0, "half_life": 100_000, "diffusion": "on", "schedule": "constant"},
}


def merged(below, above):
    out = dict(below)
    for key, value in above.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def read(name):
    own = tomllib.loads((GOLDENS / f"{name}.toml").read_text())
    method = tomllib.loads((ROOT / f"manifests/baselines/{own['method']}.toml").read_text())
    return merged(merged(DEFAULTS, method["trainer"]), own["trainer"])


def rate(phase, step):
    warm, kind = phase["warmup"], phase["schedule"]
    cosine = lambda x: phase["floor"] + (1 - phase["floor"]) * (0.5 + 0.5 * math.cos(math.pi * x))
    if kind in ("constant", "cosine"):
        up = min(1.0, (step + 1) / warm) if warm else 1.0
        return up * (cosine(step / phase["steps"]) if kind == "cosine" else 1.0)
    if kind == "cosine-after-warmup":
        if step < warm:
            return step / max(warm - 1, 1)
        return cosine((step - warm) / (phase["steps"] - warm))
    return step / warm if step < warm else 0.5 ** ((step - warm) / phase["half_life"])


class Data:
    """Six pictures as the trainer's memory set holds them, and the order they are visited in."""

    def __init__(self, c, vit):
        self.c = c
        g = torch.Generator().manual_seed(c["data"])
        layout = torch.randint(0, 3, (SAMPLES, 2, 2), generator=g)
        regions = layout.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)
        colours = torch.randn(3, SIZE, generator=g)
        noise = torch.randn(2, SAMPLES, TOKENS, SIZE, generator=g)
        mirrored = regions.view(SAMPLES, SIDE, SIDE).flip(2).flatten(1)
        self.states = [colours[r] + 0.5 * n for r, n in zip([regions, mirrored], noise)]
        if vit is not None:
            pixels = torch.randn(2, SAMPLES, 3, 4 * SIDE, 4 * SIDE, generator=g)
            with torch.no_grad():
                self.states = [self.hidden(vit, p.double()) for p in pixels]
        self.states = [s.float() for s in self.states]
        self.masks = layout.repeat_interleave(4, 1).repeat_interleave(4, 2) * 3
        self.masks[:, 3:5, 2:6] = 255
        self.latents = torch.randn(SAMPLES, 4, 8, 8, generator=g)
        corners = torch.rand(SAMPLES, 3, 4, generator=g)
        low, high = corners[..., :2] * 0.5, corners[..., 2:] * 0.4 + 0.55
        boxes = torch.cat([low, high], -1)
        self.boxes = [boxes[i, : 1 + i % 3] for i in range(SAMPLES)]

    def hidden(self, vit, pixels):
        x = vit.embeddings(pixels)
        for layer in vit.layers[: self.c["encoder"]["train_from"]]:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x

    def visits(self, position, count):
        out = []
        for p in range(position, position + count):
            order = list(range(SAMPLES))
            Stream(SEED, "epoch", "data-order").at(p // SAMPLES).shuffle(order)
            flipped = Stream(SEED, "visit", "flip").u64(p) / (2**64 - 1) < 0.5
            out.append((p, order[p % SAMPLES], flipped))
        return out

    def batch(self, visits):
        turn = lambda x, flipped: x.flip(-1) if flipped else x
        mirror = lambda b, flipped: [1 - b[2], b[1], 1 - b[0], b[3]] if flipped else list(b)
        return {
            "states": torch.stack([self.states[f][s] for _, s, f in visits]).double(),
            "masks": torch.stack([turn(self.masks[s], f) for _, s, f in visits]),
            "latents": torch.stack([turn(self.latents[s], f) for _, s, f in visits]).double(),
            "boxes": [[mirror(b.tolist(), f) for b in self.boxes[s]] for _, s, f in visits],
        }


def painted(boxes):
    masks = torch.zeros(len(boxes), MASK_SIDE, MASK_SIDE, dtype=torch.long)
    for mask, found in zip(masks, boxes):
        for label, box in enumerate(found):
            l, t, r, b = [min(max(round(x * MASK_SIDE), 0), MASK_SIDE) for x in box]
            mask[t:b, l:r] = label + 1
    return masks


class Run:
    def __init__(self, c, seed):
        torch.manual_seed(seed)
        self.c = c
        slot_size = c["slots"]["out_size"] if c["slots"]["output"] == "on" else c["slots"]["size"]
        self.parts = {"slots": SlotAttention(c["slots"])}
        self.parts["features"] = feature_decoder(c["features"], slot_size)
        self.teacher, vit = None, None
        if c["encoder"]["train_from"] is not None:
            vit = ViTModel.from_pretrained(GOLDENS / "vit", add_pooling_layer=False).double()
            self.parts["encoder"] = Tail(vit, c["encoder"]["train_from"])
            again = ViTModel.from_pretrained(GOLDENS / "vit", add_pooling_layer=False).double()
            self.frozen = Tail(again, c["encoder"]["train_from"])
        if c["guidance"]["source"] == "distillation":
            told = merged(c["slots"], {"initial": "gaussian", "truncation": "none"})
            self.teacher = SlotAttention(told), feature_decoder(c["features"], slot_size)
        for net in [*self.parts.values(), *(self.teacher or [])]:
            for p in [] if net is None or isinstance(net, Tail) else net.parameters():
                if p.dim() == 1:  # layer norms and biases that are neither 0 nor 1
                    p.data += 0.2 * torch.randn_like(p)
        for net in [self.parts["slots"], *(self.teacher or [])[:1]]:
            net.project_k.weight.data *= 4  # slots that own different tokens
        if self.teacher:
            for block in self.teacher[1].dec.blocks:  # a teacher whose masks are not all the same
                block.encoder_decoder_attn.proj_k.weight.data *= 6
        if c["image"]["kind"] == "stable-diffusion" and any(c[p]["diffusion"] == "on" for p in ("phase1", "phase2")):
            self.parts["unet"] = UNet2DConditionModel.from_pretrained(UNET)
            self.schedule = DDPMScheduler.from_config(DDPMScheduler.load_config(SCHEDULER))
        self.parts = {name: net.double() for name, net in self.parts.items() if net is not None}
        # What is written is what is computed with.
        for net in [*self.parts.values(), *(self.teacher or [])]:
            for p in net.double().parameters():
                p.data = p.data.float().double()
        c["data"] = seed
        self.data = Data(c, vit)
        o = c["optimizer"]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[o["name"]]
        groups = [{"params": list(net.parameters()), "group": name} for name, net in self.parts.items()]
        self.optimizer = kind(groups, lr=0.0, betas=(o["beta1"], o["beta2"]), eps=o["epsilon"],
                              weight_decay=o["weight_decay"])
        self.out, self.log = {}, {}

    def forward(self, step, phase, position):
        c, parts = self.c, self.parts
        visits = self.data.visits(position, phase["batch"])
        x = self.data.batch(visits)
        draw = lambda purpose, subject="visit": [Stream(SEED, subject, purpose).at(p) for p, _, _ in visits]
        k, s = c["slots"]["count"], c["slots"]["size"]
        normal = lambda streams, *shape: torch.stack(
            [torch.tensor(st.normal(torch.Size(shape).numel())).float().double().view(shape) for st in streams])
        features = target = x["states"]
        if "encoder" in parts:
            features = parts["encoder"](x["states"])
            with torch.no_grad():
                target = self.frozen(x["states"])
        slots, raw, attention, logits = parts["slots"](features, normal(draw("slot-init"), k, s), x["boxes"])
        out = {"features": features, "slots": slots, "raw": raw, "attention": attention}
        losses = {}
        if "features" in parts and c["loss"]["instance"] > 0:
            orders = len(getattr(parts["features"], "orders", [0]))
            order = Stream(SEED, "step", "token-order").at(step).below(0, orders)
            decoded, masks = parts["features"](slots, target, order)
            out |= {"decoded": decoded, "masks": masks}
            losses["instance"] = F.mse_loss(decoded, target)
        source = c["guidance"]["source"] if c["loss"]["semantic"] > 0 else "none"
        if source == "pseudo-masks":
            losses["semantic"] = matched_masks(attention, x["masks"])
        elif source == "box-masks":
            losses["semantic"] = matched_masks(attention, painted(x["boxes"]))
        elif source == "distillation":
            with torch.no_grad():
                found = self.teacher[0](target, normal(draw("slot-init", "teacher"), k, s), x["boxes"])
                order = Stream(SEED, "teacher", "token-order").at(step).below(0, len(self.teacher[1].orders))
                masks = self.teacher[1](found[0], target, order)[1]
            out["teacher"] = masks
            losses["semantic"] = distilled(logits, attention, masks)
        if "unet" in parts and phase["diffusion"] == "on":
            t = torch.tensor([st.below(0, 1000) for st in draw("timestep")])
            noise = normal(draw("noise"), 4, 8, 8)
            noisy = self.schedule.add_noise(x["latents"], noise, t)
            wanted = noise if self.schedule.config.prediction_type == "epsilon" else self.schedule.get_velocity(
                x["latents"], noise, t)
            losses["diffusion"] = F.mse_loss(parts["unet"](noisy, t, slots).sample, wanted)
        losses["total"] = sum(c["loss"][name] * loss for name, loss in losses.items())
        return out, losses

    def train(self):
        c, phases = self.c, [self.c["phase1"], self.c["phase2"]]
        total, done = sum(p["steps"] for p in phases), 0
        for step in range(total):
            second = step >= phases[0]["steps"]
            phase = phases[second]
            within = step - phases[0]["steps"] * second
            position = within * phase["batch"] + second * phases[0]["steps"] * phases[0]["batch"]
            self.set_trained(phase)
            self.optimizer.zero_grad()
            out, losses = self.forward(step, phase, position)
            losses["total"].backward()
            trained = [p for g in self.optimizer.param_groups for p in g["params"] if p.grad is not None]
            if step == 0:
                self.out = out
                self.first = self.gradients()
            if second and within == 0:
                self.second = self.gradients(["unet"])
            kind = {"l2": 2.0, "infinity": float("inf")}[c["optimizer"]["clip_norm"]]
            norm = nn.utils.clip_grad_norm_(trained, c["optimizer"]["clip"], kind)
            for name, value in {**losses, "norm": norm}.items():
                self.log.setdefault(name, []).append(value.item())
            for group in self.optimizer.param_groups:
                group["lr"] = phase["learning_rate"].get(group["group"], 0.0) * rate(phase, within)
            self.optimizer.step()

    def set_trained(self, phase):
        unet = self.parts.get("unet")
        if unet is not None:
            on = phase["learning_rate"].get("unet", 0.0) > 0
            for name, p in unet.named_parameters():
                p.requires_grad_(on and "attn2" in name)

    def published(self, part, name):
        net = self.parts[part]
        return net.published(name) if isinstance(net, Tail) else name

    def gradients(self, parts=None):
        return {f"{part}.{self.published(part, name)}": p.grad.clone() for part in parts or self.parts
                for name, p in self.parts[part].named_parameters() if p.grad is not None}

    def tensors(self):
        t = {}
        final = {part: dict(net.named_parameters()) for part, net in self.parts.items()}
        for part, named in final.items():
            for name, p in named.items():
                if part != "unet" or ("attn2" in name and "second" in self.__dict__):
                    t[f"final.{part}.{self.published(part, name)}"] = p
        t |= {f"gradient.{name}": g for name, g in self.first.items()}
        t |= {f"gradient2.{name}": g for name, g in getattr(self, "second", {}).items()}
        t |= {f"out.{name}": value for name, value in self.out.items()}
        t |= {f"log.{name}": torch.tensor(values) for name, values in self.log.items()}
        d = self.data
        t |= {"data.states": torch.stack(d.states)}
        if self.c["guidance"]["source"] == "pseudo-masks":
            t["data.masks"] = d.masks
        if "unet" in self.parts:
            t["data.latents"] = d.latents
        if self.c["slots"]["initial"] == "boxes" or self.c["slots"]["known_count"] != "off" or \
                self.c["guidance"]["source"] == "box-masks":
            t["data.boxes"] = torch.stack([F.pad(b, (0, 0, 0, 3 - len(b)), value=-1.0) for b in d.boxes])
        return t


def write_vit():
    torch.manual_seed(3)
    config = ViTConfig(hidden_size=SIZE, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
                       image_size=4 * SIDE, patch_size=4, layer_norm_eps=1e-6, initializer_range=0.3)
    vit = ViTModel(config, add_pooling_layer=False)
    shutil.rmtree(GOLDENS / "vit", ignore_errors=True)
    vit.save_pretrained(GOLDENS / "vit")


def write(name):
    c = read(name)
    for seed in range(2000):
        run = Run(c, seed)
        before = {f"{part}.{key}": p.detach().clone() for part, net in run.parts.items() if part in ("slots", "features")
                  for key, p in net.state_dict().items()}
        for part, net in zip(("slots", "features"), run.teacher or []):
            before |= {f"teacher.{part}.{key}": p.detach().clone() for key, p in net.state_dict().items()}
        try:
            run.train()
            break
        except Tie:
            continue
    tensors = {f"start.{key}": p for key, p in before.items()} | run.tensors()
    path = GOLDENS / f"{name}.safetensors"
    save_file({key: value.detach().contiguous().float() for key, value in tensors.items()}, path)
    print(f"{name:24} seed {seed:3} {path.stat().st_size // 1000:4} KB", {k: round(v[0], 5) for k, v in run.log.items()})


def main(names):
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    if not names:
        write_vit()
    for name in names or sorted(path.stem for path in GOLDENS.glob("*.toml")):
        write(name)


if __name__ == "__main__":
    main(sys.argv[1:])
