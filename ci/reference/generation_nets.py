"""The networks of the generation metrics against pytorch-fid, torch-fidelity, lpips and transformers.

    python ci/reference/generation_nets.py goldens                 # writes pipeline/nets/goldens/generation
    python ci/reference/generation_nets.py compare GLASSCTL FOLDER # published sizes, both sides with the same random weights

Published widths are fixed and their weights cannot ship, so the goldens are narrow: InceptionV3 at a sixteenth and the
trunks of LPIPS at an eighth of the width, built from the reference packages' own classes with fewer channels. Weights
come from a formula that the tests repeat; the goldens hold names, shapes and outputs. `compare` writes random weights of
the published sizes below FOLDER, runs `glassctl nets run` on them and prints the largest difference relative to the
largest value.
"""

import json
import shutil
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

import lpips
import numpy as np
import pytorch_fid.inception as fid
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch_fidelity.feature_extractor_inceptionv3 import interpolate_bilinear_2d_like_tensorflow1x
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModelWithProjection

GOLDENS = Path(__file__).resolve().parents[2] / "pipeline/nets/goldens/generation"
torch.set_grad_enabled(False)
torch.set_num_threads(1)


def uniform(first, count):
    """Numbers in [0, 1) from splitmix64 of the index."""
    z = (np.arange(first + 1, first + 1 + count, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53


def values(name, shape, first):
    """The formula: kernels keep the variance behind a ReLU, norms are uneven, heads of LPIPS are positive."""
    u = uniform(first, int(np.prod(shape)))
    if name.startswith("lin"):
        v = u
    elif name.endswith("running_var") or name.endswith("bn.weight"):
        v = 0.75 + 0.5 * u
    elif len(shape) == 1:
        v = 0.2 * (u - 0.5)
    else:
        v = (u - 0.5) * np.sqrt(24.0 / np.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def fill(module, kept=lambda name: True):
    """Fills a module by the formula and gives its layout."""
    layout, first = [], 0
    state = module.state_dict()
    for name in sorted(state):
        shape = list(state[name].shape)
        if name.endswith("num_batches_tracked") or not kept(name):
            continue
        state[name] = values(name, shape, first)
        layout.append([name, shape])
        first += int(np.prod(shape))
    module.load_state_dict(state)
    return layout


def pictures(batch, height, width):
    return torch.from_numpy(uniform(1 << 40, batch * 3 * height * width).astype(np.float32)).reshape(batch, 3, height, width)


class Narrow:
    """torchvision's convolutions with fewer channels."""

    def __init__(self, divisor):
        self.divisor = divisor

    def __enter__(self):
        conv, norm = torchvision.models.inception.BasicConv2d, None
        divisor, original = self.divisor, conv.__init__

        def init(module, in_channels, out_channels, **kwargs):
            narrow = lambda c: c if c == 3 else c // divisor  # noqa: E731
            original(module, narrow(in_channels), narrow(out_channels), **kwargs)

        self.patch = mock.patch.object(conv, "__init__", init)
        self.patch.__enter__()

    def __exit__(self, *args):
        self.patch.__exit__(*args)


def inception(divisor):
    """pytorch-fid's own network with random weights: its download is replaced by the state it has."""
    with Narrow(divisor):
        holder = {}
        original = fid._inception_v3

        def remembered(*args, **kwargs):
            holder["network"] = original(*args, **kwargs)
            return holder["network"]

        with mock.patch.object(fid, "_inception_v3", remembered), mock.patch.object(
            fid, "load_state_dict_from_url", lambda *a, **k: holder["network"].state_dict()
        ):
            wrapped = fid.InceptionV3()
    return holder["network"].eval(), wrapped.eval()


def fidelity_input(x):
    """torch-fidelity's preprocessing of bytes as floats."""
    return (interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False) - 128) / 128


def fid_features(wrapped, prepared):
    for block in wrapped.blocks:
        prepared = block(prepared)
    return prepared.flatten(1)


def perceptual(net, divisor):
    """lpips' own LPIPS on a trunk with fewer channels."""
    full = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}[net]

    def narrow(pretrained=False):
        features = full(weights=None).features
        for index, layer in enumerate(features):
            if isinstance(layer, torch.nn.Conv2d):
                inputs = layer.in_channels if layer.in_channels == 3 else layer.in_channels // divisor
                features[index] = torch.nn.Conv2d(
                    inputs, layer.out_channels // divisor, layer.kernel_size, layer.stride, layer.padding)
        return types.SimpleNamespace(features=features)

    name = {"alex": "alexnet", "vgg": "vgg16"}[net]
    with mock.patch.object(lpips.pretrained_networks.tv, name, narrow):
        model = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    for index, width in enumerate(model.chns):
        setattr(model, f"lin{index}", lpips.NetLinLayer(width // divisor, use_dropout=True))
    model.lins = torch.nn.ModuleList(getattr(model, f"lin{index}") for index in range(5))
    return model.eval()


def perceptual_outputs(model, a, b):
    scaled = model.net(model.scaling_layer(a))
    return {"distance": model(a, b).flatten(), **{f"relu{k + 1}": f for k, f in enumerate(scaled)}}


CLIP = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=24, patch_size=8,
            projection_dim=12)


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = 1.0 if parameter.dim() < 2 else parameter[0].numel() ** -0.5
        parameter += scale * 0.5 * torch.randn(parameter.shape, generator=generator)
        parameter.copy_(parameter.half().float())
    return model.eval()


def clip_vision(hidden_act, seed):
    return randomise(CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP, hidden_act=hidden_act)), seed)


def whole_clip():
    """A whole CLIP, whose configuration and weights hold the vision side among others."""
    text = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=64,
                max_position_embeddings=8, bos_token_id=1, eos_token_id=2)
    vision = {k: v for k, v in CLIP.items() if k != "projection_dim"}
    config = CLIPConfig(text_config=text, vision_config=vision | {"hidden_act": "gelu"}, projection_dim=10)
    return randomise(CLIPModel(config), 7)


def clip_outputs(model, x):
    # A whole CLIP embeds without the wrapper's names.
    if isinstance(model, CLIPModel):
        out = model.vision_model(x)
        return {"image_embeds": model.visual_projection(out.pooler_output), "last_hidden_state": out.last_hidden_state}
    out = model(x)
    return {"image_embeds": out.image_embeds, "last_hidden_state": out.last_hidden_state}


def goldens():
    shutil.rmtree(GOLDENS, ignore_errors=True)
    GOLDENS.mkdir(parents=True)
    layouts = {}
    network, wrapped = inception(16)
    layouts["inception"] = fill(network, lambda name: not name.startswith("fc."))
    small = pictures(2, 40, 53)
    bytes_ = torch.floor(small * 256)
    outputs = {
        "fid": wrapped(small)[0].flatten(1),
        "fidelity": fid_features(wrapped, fidelity_input(bytes_)),
        # Every 23rd pixel of a row and column of what the network sees.
        "fidelity_input": fidelity_input(bytes_)[:, :, ::23, ::23].contiguous(),
    }
    save_file({k: v.contiguous() for k, v in outputs.items()}, GOLDENS / "inception.safetensors")
    for net in ("alex", "vgg"):
        model = perceptual(net, 8)
        layouts[net] = fill(model, lambda name: not name.startswith("lins.") and not name.startswith("scaling"))
        a, b = pictures(4, 67, 79).mul(2).sub(1).split(2)
        outputs = perceptual_outputs(model, a, b)
        kept = {k: v[:, ::4].contiguous() if v.dim() == 4 else v for k, v in outputs.items() if k not in ("relu1", "relu2")}
        save_file({k: v.contiguous() for k, v in kept.items()}, GOLDENS / f"{net}.safetensors")
    (GOLDENS / "layouts.json").write_text(json.dumps(layouts, separators=(",", ":")).replace("]],", "]],\n") + "\n")
    x = pictures(2, 24, 24).mul(4).sub(2)
    for name, model in (("quick", clip_vision("quick_gelu", 5)), ("gelu", clip_vision("gelu", 6)), ("whole", whole_clip())):
        folder = GOLDENS / f"clip-{name}"
        outputs = {k: v.contiguous() for k, v in clip_outputs(model, x).items()}
        model.half().save_pretrained(folder)
        for extra in folder.glob("generation_config.json"):
            extra.unlink()
        save_file(outputs, GOLDENS / f"clip-{name}.safetensors")


def run(glassctl, net, weights, inputs, folder, *flags):
    source, target = folder / "in.safetensors", folder / "out.safetensors"
    save_file({k: v.contiguous() for k, v in inputs.items()}, source)
    command = [glassctl, "nets", "run", net, "--weights", weights, "--inputs", source, "--outputs", target, *flags]
    told = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stderr
    return load_file(target), told.strip().splitlines()[-1]


def row(network, what, ours, reference, told):
    error = (ours.double() - reference.double()).abs().max() / reference.double().abs().max()
    print(f"| {network} | {what} | {error:.1e} | {told} |")


def compare(glassctl, folder):
    folder.mkdir(parents=True, exist_ok=True)
    network, wrapped = inception(1)
    fill(network)
    weights = folder / "inception.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
    x = pictures(2, 256, 256)
    ours, told = run(glassctl, "inception", weights, {"inp": x}, folder)
    row("InceptionV3", "2048 features, pytorch-fid", ours["features"], wrapped(x)[0].flatten(1), told)
    x = torch.floor(x * 256)
    ours, told = run(glassctl, "inception", weights, {"bytes": x}, folder)
    row("InceptionV3", "2048 features, torch-fidelity", ours["features"], fid_features(wrapped, fidelity_input(x)), told)
    for net in ("alex", "vgg"):
        model = perceptual(net, 1)
        fill(model, lambda name: not name.startswith("lins.") and not name.startswith("scaling"))
        weights = folder / f"lpips-{net}.safetensors"
        # `lins` are the heads once more.
        save_file({k: v.clone() for k, v in model.state_dict().items()}, weights)
        a, b = pictures(2, 256, 256).mul(2).sub(1).split(1)
        ours, told = run(glassctl, "lpips", weights, {"in0": a, "in1": b}, folder)
        reference = perceptual_outputs(model, a, b)
        for name in ("relu3", "relu5", "distance"):
            row(f"LPIPS {net}", name, ours[name], reference[name], told)
    for name, config in (("ViT-B/32", {}), ("ViT-L/14", dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
                                                           num_attention_heads=16, patch_size=14, projection_dim=768))):
        model = CLIPVisionModelWithProjection(CLIPVisionConfig(**config)).eval()
        target = folder / "clip"
        model.save_pretrained(target)
        x = pictures(1, 224, 224).mul(4).sub(2)
        ours, told = run(glassctl, "clip-vision", target, {"pixel_values": x}, folder)
        row(f"CLIP {name}", "image_embeds", ours["image_embeds"], model(x).image_embeds, told)


if __name__ == "__main__":
    if sys.argv[1] == "goldens":
        goldens()
    else:
        compare(sys.argv[2], Path(sys.argv[3]))
