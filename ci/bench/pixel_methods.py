"""Milliseconds a training step of the methods that paint takes in PyTorch, at the sizes of a run spec.

The networks are those of ci/reference/pixel_methods.py, the sizes those of the spec and of the network
configurations it names; Adam, clipping, random data, one thread.

usage: pixel_methods.py RUN.toml [steps]
"""

import json
import sys
import time
import tomllib
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from pixel_methods import Broadcast, Slots, UNetEncoder, add_positions, resnet  # noqa: E402


def merged(below, above):
    return below | {
        k: merged(below[k], v) if isinstance(v, dict) and isinstance(below.get(k), dict) else v
        for k, v in above.items()
    }


def config(folder, name=""):
    values = json.loads((Path(folder) / name / "config.json").read_text())
    return {k: v for k, v in values.items() if not k.startswith("_")}


def unet(folder):
    sizes = config(folder, "unet")
    positioned = sizes.pop("pos_type", "none") == "cartesian"
    net = UNet2DConditionModel(**sizes)
    return add_positions(net, sizes["sample_size"]) if positioned else net


def main(path, steps):
    run = tomllib.loads(Path(path).read_text())
    method = tomllib.loads(Path(f"manifests/baselines/{run['method']}.toml").read_text())
    spec = merged(method["trainer"], run["trainer"])
    encoder, slots, batch = spec["encoder"], spec["slots"], spec["phase1"]["batch"]
    side, size = encoder["image_size"], slots["size"]
    latents = torch.randn(batch, 8, side // 8, side // 8)
    pictures = torch.rand(batch, 3, side, side) * 2 - 1
    if encoder["kind"] == "resnet34":
        c = config(encoder["weights"])
        first = resnet(c["depths"], c["width"], c["stem_stride"], 1, c["groups"])
        width = c["width"] << (len(c["depths"]) - 1)
    elif encoder["kind"] == "unet-encoder":
        c = config(encoder["weights"])
        first, width = UNetEncoder(**c), c["out_channels"]
    else:
        first, width = None, 192
    narrow = slots.get("tokens") == "narrow"
    sizes = dict(
        input=width, hidden=size if narrow else width, tokens=size if narrow else width, slot=size,
        mlp=slots["mlp_size"], out=0 if slots.get("output") == "off" else slots["out_size"],
        iterations=slots["iterations"], slots=slots["count"], epsilon=slots["epsilon"],
        position=slots["position"], learned=slots["initial"] == "normal",
    )  # fmt: skip
    attention = Slots(sizes)
    nn.init.normal_(attention.slot_mu)
    if not sizes["learned"]:
        nn.init.zeros_(attention.slot_log_sigma)
    if spec["image"]["kind"] == "broadcast":
        b = spec["broadcast"]
        image = Broadcast(size, b["channels"], b["layers"], b["kernel"], b["image_size"])
    else:
        image = unet(spec["latent_diffusion"]["config"])
    parts = [part for part in (first, attention, image) if part is not None]
    parameters = [p for part in parts for p in part.parameters()]
    adam = torch.optim.Adam(parameters, lr=1e-3)

    def step():
        x = first(pictures).flatten(2).transpose(1, 2) if first else torch.randn(batch, 256, width)
        found, _ = attention(x, torch.randn(batch, slots["count"], size))
        if spec["image"]["kind"] == "broadcast":
            loss = F.mse_loss(image(found)[0], pictures)
        else:
            noise, t = torch.randn_like(latents), torch.randint(0, 1000, (batch,))
            loss = F.mse_loss(image(latents + noise, t, found).sample, noise)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()

    step()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    each = (time.perf_counter() - begin) * 1e3 / steps
    print(f"{run['method']}: {each:.1f} ms a step, {sum(p.numel() for p in parameters)} parameters")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)
