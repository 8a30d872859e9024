"""Pictures from slots by the samplers of SlotDiffusion and Latent Slot Diffusion, with given noise.

DPM-Solver++ (3S) is a transcription of the published formulas (Lu et al., DPM-Solver++, algorithm of the third
order; "DPM-Solver-fast" for the orders), the multistep solver is diffusers'. Networks and numbers are those of
pixel_methods.py; two small autoencoders are written beside the results.

usage: painting.py TRAINER_GOLDENS
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel, VQModel
from pixel_methods import AUTOENCODER, SMALL_POSITIONED, SMALL_UNET, add_positions, fill, numbers, save

BATCH, SLOTS = 2, 3
KL = dict(
    in_channels=3, out_channels=3, block_out_channels=[4, 8], layers_per_block=1, latent_channels=3,
    norm_num_groups=2, scaling_factor=0.5, down_block_types=["DownEncoderBlock2D"] * 2,
    up_block_types=["UpDecoderBlock2D"] * 2,
)  # fmt: skip


class Schedule:
    """ln alpha over the index of the timestep, linear between whole ones."""

    def __init__(self, betas):
        self.log_alpha = 0.5 * torch.log(1 - betas.double()).cumsum(0)
        self.last = len(betas) - 1

    def alpha(self, index):
        below = min(max(int(index), 0), self.last - 1)
        share = index - below
        return torch.exp((1 - share) * self.log_alpha[below] + share * self.log_alpha[below + 1]).item()

    def parts(self, index):
        alpha = self.alpha(index)
        sigma = (1 - alpha**2) ** 0.5
        return alpha, sigma, torch.tensor(alpha / sigma).double().log().item()

    def index(self, lamb):
        """By bisection: lambda falls with the index."""
        low, high = 0.0, float(self.last)
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if self.parts(middle)[2] > lamb else (low, middle)
        return (low + high) / 2


def orders(calls):
    whole, rest = divmod(calls, 3)
    return {0: [3] * (whole - 1) + [2, 1], 1: [3] * whole + [1], 2: [3] * whole + [2]}[rest]


def single_step(schedule, model, x, calls):
    """`model(x, index)` gives the clean sample."""
    expm1 = lambda value: torch.expm1(torch.tensor(value, dtype=torch.float64)).item()
    done = 0
    for order in orders(calls):
        s, t = (schedule.last * (1 - place / calls) for place in (done, done + order))
        done += order
        (_, sigma_s, lambda_s), (alpha_t, sigma_t, lambda_t) = schedule.parts(s), schedule.parts(t)
        h = lambda_t - lambda_s
        first = model(x, s)
        if order == 1:
            x = sigma_t / sigma_s * x - alpha_t * expm1(-h) * first
            continue
        r1, r2 = (0.5, None) if order == 2 else (1 / 3, 2 / 3)
        s1 = schedule.index(lambda_s + r1 * h)
        alpha_1, sigma_1, _ = schedule.parts(s1)
        second = model(sigma_1 / sigma_s * x - alpha_1 * expm1(-r1 * h) * first, s1)
        straight = sigma_t / sigma_s * x - alpha_t * expm1(-h) * first
        if order == 2:
            x = straight - 0.5 / r1 * alpha_t * expm1(-h) * (second - first)
            continue
        s2 = schedule.index(lambda_s + r2 * h)
        alpha_2, sigma_2, _ = schedule.parts(s2)
        bent = r2 / r1 * alpha_2 * (expm1(-r2 * h) / (r2 * h) + 1) * (second - first)
        third = model(sigma_2 / sigma_s * x - alpha_2 * expm1(-r2 * h) * first + bent, s2)
        x = straight + 1 / r2 * alpha_t * (expm1(-h) / h + 1) * (third - first)
    return x


def slot_diffusion(out):
    betas = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
    schedule, margins = Schedule(betas), []
    unet = fill(UNet2DConditionModel(**SMALL_UNET), "image.")
    vq = fill(VQModel(**AUTOENCODER))
    slots, noise = numbers("paint.slots", BATCH, SLOTS, 6), numbers("paint.noise.3", BATCH, 3, 8, 8) * 3**0.5

    def clean(x, index):
        e = unet(x, torch.full((BATCH,), index), slots).sample
        alpha, sigma, _ = schedule.parts(index)
        return (x - sigma * e) / alpha

    def quantised(x, index):
        found = clean(x, index)
        distances = torch.cdist(found.permute(0, 2, 3, 1).reshape(-1, 3), vq.quantize.embedding.weight)
        nearest = distances.topk(2, largest=False).values
        margins.append(((nearest[:, 1] - nearest[:, 0]) / nearest[:, 1]).min().item())
        return vq.quantize(found)[0]

    # The third of some noises: no two codes are ever equally near, up to rounding.
    tensors = {}
    for calls in (6, 7, 20):
        tensors[f"unquantised.{calls}"] = single_step(schedule, clean, noise, calls)
    tensors["latents"] = single_step(schedule, quantised, noise, 20)
    tensors["picture"] = vq.decode(tensors["latents"]).sample
    print("closest call of two codes", min(margins))
    keep(out, "vq", AUTOENCODER, vq)
    save(out / "painted-slot-diffusion.safetensors", tensors)


def lsd_scratch(out):
    unet = fill(add_positions(UNet2DConditionModel(**SMALL_POSITIONED), 8), "image.")
    vae = fill(AutoencoderKL(**KL))
    slots, noise = numbers("paint.slots", BATCH, SLOTS, 6), numbers("paint.noise.3", BATCH, 3, 8, 8) * 3**0.5
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="linear", beta_start=0.00085, beta_end=0.012, timestep_spacing="leading", steps_offset=1,
        final_sigmas_type="sigma_min",
    )  # fmt: skip
    scheduler.set_timesteps(25)
    x = noise
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t, slots).sample, t, x).prev_sample
    keep(out, "kl", KL, vae)
    save(out / "painted-lsd-scratch.safetensors", dict(latents=x, picture=vae.decode(x / KL["scaling_factor"]).sample))


def keep(out, name, config, network):
    folder = out / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save(folder / "diffusion_pytorch_model.safetensors", network.state_dict())


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        slot_diffusion(Path(sys.argv[1]) / "pixels")
        lsd_scratch(Path(sys.argv[1]) / "pixels")
