"""Time and memory of a training step, as ratios to the transcriptions in PyTorch (ci/reference).

At the paper's sizes DINOSAUR-MLP, the first stage of SPOT and phase 1 of GLASS: features of DINOv2-B at 448
pixels (1,024 tokens of 768) and 7 slots, without the image decoder. At the sizes of the mini runs both phases of
GLASS with the diffusion decoder, and the methods that paint from nothing. Each side is a process of its own, one
after the other, with the same number of threads; times are the fastest of so many steps.

usage: training.py [--batch N] [--steps N] [--threads N] [NAME ...]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "manifests/runs/mini"
# A method or a run spec, the phase, and what is changed: all tokens are decoded on both sides.
SUBJECTS = {
    "dinosaur-mlp": ("dinosaur-mlp", 1, []),
    "spot-teacher": ("spot-teacher", 1, []),
    "glass": ("glass", 1, []),
    "glass-phase-2": (str(RUNS / "demo.toml"), 2, ["trainer.features.token_share=1.0"]),
    "slot-attention": (str(RUNS / "slot-attention.toml"), 1, []),
    "slot-diffusion": (str(RUNS / "slot-diffusion.toml"), 1, []),
    "lsd-scratch": (str(RUNS / "lsd-scratch.toml"), 1, []),
}


def constants(subject):
    """A method's, or those of a run above its method's, above the trainer's."""
    import methods

    if not subject.endswith(".toml"):
        file = tomllib.loads((ROOT / f"manifests/baselines/{subject}.toml").read_text())
        return methods.merged(methods.DEFAULTS, file["trainer"])
    run = tomllib.loads(Path(subject).read_text())
    baseline = ROOT / f"manifests/baselines/{run.get('method', 'glass')}.toml"
    below = methods.merged(methods.DEFAULTS, tomllib.loads(baseline.read_text())["trainer"])
    return methods.merged(below, run["trainer"])


class FeatureMethod:
    """Slot Attention on given features, a feature decoder, guidance by masks, and a frozen UNet in phase 2."""

    def __init__(self, c, batch, side, size, phase):
        import method_networks as networks
        import torch
        from diffusers import DDPMScheduler, UNet2DConditionModel

        networks.SIDE, networks.SIZE, networks.MASK_SIDE = side, size, c["guidance"].get("resolution", 256)
        networks.clear = lambda maps: None
        self.c, self.networks, self.batch = c, networks, batch
        slot_size = c["slots"]["out_size"] if c["slots"]["output"] == "on" else c["slots"]["size"]
        self.slots = networks.SlotAttention(c["slots"])
        self.decoder = networks.feature_decoder(c["features"], slot_size)
        self.parameters = [*self.slots.parameters(), *self.decoder.parameters()]
        self.features = torch.randn(batch, side**2, size)
        m = networks.MASK_SIDE
        self.labels = torch.tensor([0, 3, 5, 255])[torch.arange(batch * m * m) // 700 % 4].view(batch, m, m)
        self.unet = None
        if phase == 2:
            folder = ROOT / c["diffusion"]["weights"]
            self.unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
            self.schedule = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
            for name, p in self.unet.named_parameters():
                p.requires_grad_("attn2" in name)
            self.parameters += [p for p in self.unet.parameters() if p.requires_grad]
            side = c["diffusion"]["image_size"] // 8
            self.latents = torch.randn(batch, self.unet.config.in_channels, side, side)

    def loss(self):
        import torch

        c, mse = self.c, torch.nn.functional.mse_loss
        noise = torch.randn(self.batch, c["slots"]["count"], c["slots"]["size"])
        slots, _, attention, _ = self.slots(self.features, noise, None)
        decoded, _ = self.decoder(slots, self.features, 0)
        loss = mse(decoded, self.features) * c["loss"]["instance"]
        if c["loss"]["semantic"] > 0:
            loss = loss + c["loss"]["semantic"] * self.networks.matched_masks(attention, self.labels)
        if self.unet is not None:
            noise, t = torch.randn_like(self.latents), torch.randint(0, 1000, (self.batch,))
            noisy = self.schedule.add_noise(self.latents, noise, t)
            loss = loss + c["loss"]["diffusion"] * mse(self.unet(noisy, t, slots).sample, noise)
        return loss


class PaintingMethod:
    """A trained or frozen encoder, Slot Attention, and a decoder of pixels or latents that starts from nothing."""

    def __init__(self, c, batch):
        import pixel_methods as networks
        import torch

        encoder, slots = c["encoder"], c["slots"]
        self.c, self.batch, side, size = c, batch, encoder["image_size"], slots["size"]
        self.latents = torch.randn(batch, 8, side // 8, side // 8)
        self.pictures = torch.rand(batch, 3, side, side) * 2 - 1
        self.encoder, self.width = None, 192
        if encoder["kind"] == "resnet34":
            e = configuration(encoder["weights"])
            self.encoder = networks.resnet(e["depths"], e["width"], e["stem_stride"], 1, e["groups"])
            self.width = e["width"] << (len(e["depths"]) - 1)
        elif encoder["kind"] == "unet-encoder":
            e = configuration(encoder["weights"])
            self.encoder, self.width = networks.UNetEncoder(**e), e["out_channels"]
        tokens = size if slots.get("tokens") == "narrow" else self.width
        self.slots = networks.Slots(dict(
            input=self.width, hidden=tokens, tokens=tokens, slot=size, mlp=slots["mlp_size"],
            out=0 if slots.get("output") == "off" else slots["out_size"], iterations=slots["iterations"],
            slots=slots["count"], epsilon=slots["epsilon"], position=slots["position"],
            learned=slots["initial"] == "normal",
        ))  # fmt: skip
        torch.nn.init.normal_(self.slots.slot_mu)
        if slots["initial"] != "normal":
            torch.nn.init.zeros_(self.slots.slot_log_sigma)
        if c["image"]["kind"] == "broadcast":
            b = c["broadcast"]
            self.image = networks.Broadcast(size, b["channels"], b["layers"], b["kernel"], b["image_size"])
        else:
            self.image = unet(c["latent_diffusion"]["config"])
        parts = [part for part in (self.encoder, self.slots, self.image) if part is not None]
        self.parameters = [p for part in parts for p in part.parameters()]

    def loss(self):
        import torch

        mse, c = torch.nn.functional.mse_loss, self.c
        x = torch.randn(self.batch, 256, self.width)
        if self.encoder is not None:
            x = self.encoder(self.pictures).flatten(2).transpose(1, 2)
        slots, _ = self.slots(x, torch.randn(self.batch, c["slots"]["count"], c["slots"]["size"]))
        if c["image"]["kind"] == "broadcast":
            side = c["broadcast"]["image_size"]
            pictures = torch.nn.functional.interpolate(self.pictures, size=side, mode="bilinear", antialias=True)
            return mse(self.image(slots)[0], pictures)
        noise, t = torch.randn_like(self.latents), torch.randint(0, 1000, (self.batch,))
        return mse(self.image(self.latents + noise, t, slots).sample, noise)


def configuration(folder, name=""):
    values = json.loads((ROOT / folder / name / "config.json").read_text())
    return {k: v for k, v in values.items() if not k.startswith("_")}


def unet(folder):
    import pixel_methods as networks
    from diffusers import UNet2DConditionModel

    sizes = configuration(folder, "unet")
    positioned = sizes.pop("pos_type", "none") == "cartesian"
    net = UNet2DConditionModel(**sizes)
    return networks.add_positions(net, sizes["sample_size"]) if positioned else net


def pytorch(name, batch, steps, threads):
    sys.path.insert(0, str(ROOT / "ci/reference"))
    import torch

    torch.set_num_threads(threads)
    subject, phase, _ = SUBJECTS[name]
    c = constants(subject)
    if c["image"]["kind"] in ("broadcast", "latent-diffusion"):
        method = PaintingMethod(c, batch)
    else:
        side, size = (c["encoder"]["image_size"] // 8, 192) if phase == 2 else (32, 768)
        method = FeatureMethod(c, batch, side, size, phase)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[c["optimizer"]["name"]]
    optimizer = kind(method.parameters, lr=1e-4)
    fastest = float("inf")
    for step in range(steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        method.loss().backward()
        norm = {"l2": 2.0, "infinity": float("inf")}[c["optimizer"].get("clip_norm", "l2")]
        torch.nn.utils.clip_grad_norm_(method.parameters, c["optimizer"].get("clip", 1.0), norm)
        optimizer.step()
        if step:
            fastest = min(fastest, time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{fastest * 1e3:.1f} ms {memory:.3f} GB")


def measured(command, threads):
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    words = subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(words[-4]), float(words[-2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pytorch", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.pytorch:
        return pytorch(a.names[0], a.batch, a.steps, a.threads)
    build = ["cargo", "build", "--release", "-q", "--workspace", "--example", "step_time"]
    subprocess.run(build, cwd=ROOT, check=True)
    example = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/step_time"
    options = ["--batch", str(a.batch), "--steps", str(a.steps), "--threads", str(a.threads)]
    print(f"{'':16}{'ours':>11}{'PyTorch':>11}{'time':>7}{'ours':>10}{'PyTorch':>10}{'memory':>8}")
    for name in a.names or SUBJECTS:
        subject, phase, changes = SUBJECTS[name]
        changes = [*changes, f"trainer.phase{phase}.batch={a.batch}"]
        ours = measured([example, subject, str(phase), str(a.steps), *changes], a.threads)
        theirs = measured([sys.executable, __file__, name, "--pytorch", *options], a.threads)
        print(f"{name:16}{ours[0]:8.0f} ms{theirs[0]:8.0f} ms{ours[0] / theirs[0]:7.2f}"
              f"{ours[1]:7.2f} GB{theirs[1]:7.2f} GB{ours[1] / theirs[1]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
