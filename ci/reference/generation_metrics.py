"""`trainer fidelity` against pytorch-fid, torchmetrics, torch-fidelity, lpips and scikit-image: same weights, same pictures.

    python ci/reference/generation_metrics.py TRAINER FOLDER [WIDTH [PAIRS]]

Writes two folders of random pictures (64 pairs of 96 x 80 pixels, structure and noise) and random networks below FOLDER
(InceptionV3 and the trunks of LPIPS at 1/WIDTH of the published width, 16 by default, where a covariance of 64 pictures
has full rank or nearly; 1 is the published width with its 2,048 features), runs the trainer on them and prints the
largest differences. The distance to statistics that pytorch-fid stored is computed too.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytorch_fid.fid_score as fid_score
import torch
import torchmetrics
from PIL import Image
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import generation_nets as nets

PAIRS, HEIGHT, WIDTH = 64, 96, 80


def pictures(rng, count):
    """Pairs with a structure in common: slopes, a block and noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for _ in range(count):
        slope = (rng.normal(size=(3, 1, 1)) * x + rng.normal(size=(3, 1, 1)) * y) + 128 + 40 * rng.normal(size=(3, 1, 1))
        slope[:, 20:60, 10:50] += 60 * rng.normal(size=(3, 1, 1))
        real = slope + 20 * rng.normal(size=slope.shape)
        drawn = 0.9 * slope + rng.normal(0, 5, size=(3, 1, 1)) + 25 * rng.normal(size=slope.shape)
        yield [np.clip(p, 0, 255).astype(np.uint8).transpose(1, 2, 0) for p in (real, drawn)]


class Fidelity(torch.nn.Module):
    """torch-fidelity's features as torchmetrics calls them."""

    def __init__(self, wrapped, features):
        super().__init__()
        self.wrapped, self.num_features = wrapped, features

    def forward(self, pictures):
        return nets.fid_features(self.wrapped, nets.fidelity_input(pictures.float()))


def ours(trainer, folder, *flags):
    out = folder / "out.json"
    command = [trainer, "fidelity", "--real", folder / "real", "--drawn", folder / "drawn", "--json", out, *flags]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return {score["metric"]: score for score in json.loads(out.read_text())["scores"]}


def row(name, reference, found, expected):
    print(f"| {name} | {reference} | {found:.6f} | {expected:.6f} | {abs(found - expected) / max(abs(expected), 1e-12):.1e} |")


def main(trainer, folder, divisor, count):
    rng = np.random.default_rng(5)
    for name in ("real", "drawn"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pairs = list(pictures(rng, count))
    for index, pair in enumerate(pairs):
        for name, picture in zip(("real", "drawn"), pair):
            Image.fromarray(picture).save(folder / name / f"{index:03}.png")
    real, drawn = (torch.from_numpy(np.stack([pair[side] for pair in pairs]).transpose(0, 3, 1, 2).copy()) for side in (0, 1))
    as_floats = [(x.float() / 255) for x in (real, drawn)]

    network, wrapped = nets.inception(divisor)
    nets.fill(network, lambda name: not name.startswith("fc."))
    inception = folder / "inception.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, inception)
    print("| metric | reference | trainer fidelity | reference | relative difference |\n|---|---|---|---|---|")

    found = ours(trainer, folder, "--inception", inception)
    features = 2048 // divisor
    files = [[str(p) for p in sorted((folder / side).glob("*.png"))] for side in ("real", "drawn")]
    wrapped.eval()
    statistics = [fid_score.calculate_activation_statistics(f, wrapped, 16, features, "cpu", 0) for f in files]
    expected = fid_score.calculate_frechet_distance(*statistics[0], *statistics[1])
    row("FID", "pytorch-fid", found["fid"]["value"], expected)
    np.savez_compressed(folder / "real.npz", mu=statistics[0][0], sigma=statistics[0][1])
    found = ours(trainer, folder, "--inception", inception, "--statistics", folder / "real.npz")
    row("FID", "pytorch-fid, its stored statistics", found["fid"]["value"], expected)

    # Twice the pictures of a subset: torchmetrics draws subsets by its own generator, so all pictures are one.
    found = ours(trainer, folder, "--inception", inception, "--torch-fidelity", "--subsets", 1, "--subset-size", count)
    extractor = Fidelity(wrapped, features)
    fid = FrechetInceptionDistance(feature=extractor, input_img_size=(3, HEIGHT, WIDTH))
    kid = KernelInceptionDistance(feature=extractor, subsets=1, subset_size=count)
    for metric in (fid, kid):
        metric.update(real, real=True)
        metric.update(drawn, real=False)
    row("FID", "torchmetrics", found["fid"]["value"], fid.compute().item())
    row("KID", "torchmetrics", found["kid"]["value"], kid.compute()[0].item())

    mse = [((a.double() - b) ** 2).sum().item() for a, b in zip(*as_floats)]
    row("MSE (sum over C, H, W)", "numpy", found["mse"]["value"], np.mean(mse))
    flat = [[x.numpy().astype(np.float64) for x in side] for side in as_floats]
    psnr = [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in zip(*flat)]
    row("PSNR", "scikit-image", found["psnr"]["value"], np.mean(psnr))
    per_picture = torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    row("PSNR", "torchmetrics", found["psnr"]["value"], per_picture(as_floats[1], as_floats[0]).item())
    ssim = [structural_similarity(a * 255, b * 255, channel_axis=0, gaussian_weights=True, sigma=1.5,
                                  use_sample_covariance=False, data_range=255) for a, b in zip(*flat)]
    row("SSIM", "scikit-image", found["ssim"]["value"], np.mean(ssim))
    # torchmetrics also averages over windows that reach over the border, scikit-image over those inside.
    metric = torchmetrics.image.StructuralSimilarityIndexMeasure(data_range=1.0, return_full_image=True)
    _, full = metric(as_floats[1].double(), as_floats[0].double())
    row("SSIM", "torchmetrics, windows inside", found["ssim"]["value"], full[..., 5:-5, 5:-5].mean().item())

    for net in ("alex", "vgg"):
        model = nets.perceptual(net, divisor // 2 or 1)
        nets.fill(model, lambda name: not name.startswith("lins.") and not name.startswith("scaling"))
        path = folder / f"{net}.safetensors"
        save_file({k: v.clone() for k, v in model.state_dict().items()}, path)
        found = ours(trainer, folder, "--lpips", path)
        distance = model(*[x * 2 - 1 for x in as_floats]).flatten()
        row(f"LPIPS {net}", "lpips", found["lpips"]["value"], distance.double().mean().item())

    clip = nets.randomise(CLIPVisionModelWithProjection(CLIPVisionConfig(**nets.CLIP, hidden_act="quick_gelu")), 5)
    target = folder / "clip"
    clip.save_pretrained(target)
    (target / "preprocessor_config.json").write_text(json.dumps(
        {"do_resize": True, "size": {"height": 24, "width": 24}, "resample": 3, "do_center_crop": False, "do_rescale": True,
         "rescale_factor": 1 / 255, "do_normalize": True, "image_processor_type": "CLIPImageProcessor"}))
    found = ours(trainer, folder, "--clip", target)
    mean, std = ([.48145466, .4578275, .40821073], [.26862954, .26130258, .27577711])

    def embed(pictures):
        small = [np.asarray(Image.fromarray(p).resize((24, 24), Image.BICUBIC), dtype=np.float32) / 255 for p in pictures]
        return clip(torch.from_numpy(((np.stack(small) - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))).image_embeds

    cosine = torch.nn.functional.cosine_similarity(*[embed([pair[side] for pair in pairs]).double() for side in (0, 1)])
    row("CLIP image score", "transformers, torchmetrics' formula", found["clip_image_score"]["value"],
        max(100 * cosine.mean().item(), 0))


if __name__ == "__main__":
    more = [int(argument) for argument in sys.argv[3:5]]
    width, pairs = more + [16, PAIRS][len(more):]
    main(sys.argv[1], Path(sys.argv[2]), width, pairs)
