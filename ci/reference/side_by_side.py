#!/usr/bin/env python3
"""One picture from the same latents in diffusers and here, side by side.

diffusers' StableDiffusionPipeline and `glassctl nets run pipeline` start from the same noise and the same text
states; the table gives the largest differences of the last latents and of the pictures, and `--out` gets a row
per prompt: diffusers, here, their difference a thousand times enlarged around grey.

    python ci/reference/side_by_side.py --glassctl target/release/glassctl --out side-by-side.png [--checkpoint DIR]
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ["a photo of a cat on the grass; cat", "a photo of an airplane and a bird in the sky; airplane bird", "a photo of a bus by a brick wall; bus"]
GUIDANCE = 4.0


def picture(images):
    """[-1, 1] `[batch, 3, height, width]` as one column of pictures."""
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    return torch.cat(list(pixels), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glassctl", type=Path, default=ROOT / "target/release/glassctl")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "assets/mini/stable-diffusion")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("side-by-side.png"))
    arguments = parser.parse_args()
    pipe = StableDiffusionPipeline.from_pretrained(arguments.checkpoint, torch_dtype=torch.float32, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    side = pipe.unet.config.sample_size
    latents = torch.randn(len(PROMPTS), pipe.unet.config.in_channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        positive, negative = pipe.encode_prompt(PROMPTS, "cpu", 1, True)
        common = dict(prompt_embeds=positive, negative_prompt_embeds=negative, num_inference_steps=arguments.steps, guidance_scale=GUIDANCE)
        last = pipe(latents=latents.clone(), output_type="latent", **common).images
        images = pipe.vae.decode(last / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "in.safetensors", Path(folder) / "out.safetensors"
        save_file({k: v.contiguous() for k, v in dict(latents=latents, prompt_embeds=positive, negative_prompt_embeds=negative).items()}, inputs)
        subprocess.run(list(map(str, [arguments.glassctl, "nets", "run", "pipeline", "--weights", arguments.checkpoint, "--inputs", inputs,
                                      "--outputs", outputs, "--steps", arguments.steps, "--guidance-scale", GUIDANCE])), check=True)
        ours = load_file(outputs)
    print("| | largest difference | relative to the largest value |\n|---|---|---|")
    for name, theirs in dict(latents=last, images=images).items():
        worst = (ours[name] - theirs).abs().max().item()
        print(f"| {name} after {arguments.steps} steps | {worst:.1e} | {worst / theirs.abs().max().item():.1e} |")
    levels = (picture(ours["images"]).int() - picture(images).int()).abs()
    print(f"| 8-bit pixels that differ | {(levels > 0).sum().item()} of {levels.numel()}, by at most {levels.max().item()} | |")
    columns = torch.cat([picture(images), picture(ours["images"]), picture((ours["images"] - images) * 1000)], 1)
    scale = max(1, 256 // images.shape[-1])
    Image.fromarray(columns.numpy()).resize((columns.shape[1] * scale, columns.shape[0] * scale), Image.NEAREST).save(arguments.out)


if __name__ == "__main__":
    main()
