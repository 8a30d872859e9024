#!/usr/bin/env python3
"""Compares networks at their published sizes with diffusers and transformers.

The published architectures are filled with random weights, saved by the reference library, run by it and by
`glassctl nets run` on the same inputs; the table gives the largest and the mean error relative to the
reference's largest and mean value, the time of one run as a ratio to PyTorch's, and the peak memory relative to
the weights; with `--portable` also the time of burn's own operations. Needs about 14 GB of memory and as much
disk for the language models, a third of it for the others.

    python ci/reference/full_size.py --glassctl target/release/glassctl [--only NAME…] [--dtype bf16] [--threads 2]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Blip2VisionConfig,
    Blip2VisionModel,
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    OPTConfig,
    T5Config,
)

UNET = dict(sample_size=64, in_channels=4, out_channels=4, layers_per_block=2, block_out_channels=(320, 640, 1280, 1280))
SD2 = dict(cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True)
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=512, latent_channels=4,
           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unet(size=64, batch=1, **config):
    model = lambda: UNet2DConditionModel(**UNET, **config)
    inputs = dict(sample=randn(batch, 4, size, size, seed=1), timestep=torch.tensor([801] * batch),
                  encoder_hidden_states=randn(batch, 77, config["cross_attention_dim"], seed=2))
    return "unet", model, inputs, lambda m, i: dict(sample=m(i["sample"], i["timestep"], i["encoder_hidden_states"]).sample)


def vae_encode():
    inputs = dict(sample=randn(1, 3, 512, 512, seed=3).clamp(-1, 1))

    def run(model, inputs):
        posterior = model.encode(inputs["sample"]).latent_dist
        return dict(mean=posterior.mean, logvar=posterior.logvar)

    return "vae-encode", lambda: AutoencoderKL(**VAE), inputs, run


def vae_decode():
    inputs = dict(latents=randn(1, 4, 64, 64, seed=4))
    return "vae-decode", lambda: AutoencoderKL(**VAE), inputs, lambda m, i: dict(sample=m.decode(i["latents"]).sample)


def clip(batch=2, **config):
    ids = torch.randint(0, 49405, (batch, 77), generator=torch.Generator().manual_seed(5))
    ids[:, 40:] = 49407
    config = CLIPTextConfig(vocab_size=49408, eos_token_id=49407, **config)

    def run(model, inputs):
        output = model(inputs["input_ids"])
        return dict(last_hidden_state=output.last_hidden_state, pooler_output=output.pooler_output)

    return "clip-text", lambda: CLIPTextModel(config), dict(input_ids=ids), run


def dinov2(size=448, kind=(Dinov2Config, Dinov2Model), **config):
    config = kind[0](image_size=518, patch_size=14, **config)
    inputs = dict(pixel_values=randn(1, 3, size, size, seed=6))
    return "dinov2", lambda: kind[1](config), inputs, lambda m, i: dict(last_hidden_state=m(i["pixel_values"]).last_hidden_state)


def blip2_vision():
    inputs = dict(pixel_values=randn(1, 3, 224, 224, seed=7))
    return "blip2-vision", lambda: Blip2VisionModel(Blip2VisionConfig()), inputs, lambda m, i: dict(last_hidden_state=m(i["pixel_values"]).last_hidden_state)


def blip2_qformer():
    config = Blip2QFormerConfig()
    inputs = dict(query_embeds=randn(1, 32, config.hidden_size, seed=8), encoder_hidden_states=randn(1, 257, config.encoder_hidden_size, seed=9))
    return "blip2-qformer", lambda: Blip2QFormerModel(config), inputs, lambda m, i: dict(last_hidden_state=m(**i).last_hidden_state)


def blip2_language(text):
    """A language model of full size behind a small vision tower: both at once would be 15 GB."""
    vision = Blip2VisionConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, image_size=56)
    qformer = Blip2QFormerConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, encoder_hidden_size=64)
    image = text.vocab_size - 1
    config = Blip2Config(vision_config=vision.to_dict(), qformer_config=qformer.to_dict(), text_config=text.to_dict(), image_token_index=image)
    ids = torch.randint(3, image, (1, 40), generator=torch.Generator().manual_seed(10))
    ids[:, :32] = image
    inputs = dict(pixel_values=randn(1, 3, 56, 56, seed=11), input_ids=ids, attention_mask=torch.ones_like(ids))
    if isinstance(text, T5Config):
        inputs["decoder_input_ids"] = torch.tensor([[0, 100, 200, 300, 400, 500, 600, 700]])
    return "blip2-logits", lambda: Blip2ForConditionalGeneration(config), inputs, lambda m, i: dict(logits=m(**i).logits)


def flan_t5(**config):
    return blip2_language(T5Config(vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, **config))


CASES = {
    "UNet, SD 1.5": lambda: unet(cross_attention_dim=768, attention_head_dim=8),
    "UNet, SD 2.1-base": lambda: unet(**SD2),
    "UNet, SD 2.1": lambda: unet(size=96, upcast_attention=True, **SD2),
    "VAE encode 512²": vae_encode,
    "VAE decode 512²": vae_decode,
    "CLIP ViT-L text": lambda: clip(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, hidden_act="quick_gelu"),
    "CLIP ViT-H text": lambda: clip(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, hidden_act="gelu"),
    "DINOv2-B 448²": lambda: dinov2(hidden_size=768, num_hidden_layers=12, num_attention_heads=12),
    "DINOv2-L 448²": lambda: dinov2(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16),
    "DINOv2-g 224²": lambda: dinov2(size=224, hidden_size=1536, num_hidden_layers=40, num_attention_heads=24, use_swiglu_ffn=True),
    "DINOv2-B with registers 448²": lambda: dinov2(kind=(Dinov2WithRegistersConfig, Dinov2WithRegistersModel), num_register_tokens=4),
    "BLIP-2 vision": blip2_vision,
    "BLIP-2 Q-Former": blip2_qformer,
    "Flan-T5-large logits": lambda: flan_t5(d_model=1024, d_ff=2816, num_layers=24, num_heads=16),
    "Flan-T5-XL logits": lambda: flan_t5(d_model=2048, d_ff=5120, num_layers=24, num_heads=32),
    "OPT-2.7b logits": lambda: blip2_language(OPTConfig(hidden_size=2560, ffn_dim=10240, num_hidden_layers=32, num_attention_heads=32, word_embed_proj_dim=2560)),
}


def fastest(run, times):
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        output = run()
        best = min(best, time.perf_counter() - start)
    return output, best


def errors(ours, reference):
    largest = mean = 0.0
    for name, theirs in reference.items():
        theirs, difference = theirs.float(), (ours[name].float() - theirs.float()).abs()
        largest = max(largest, (difference.max() / theirs.abs().max()).item())
        mean = max(mean, (difference.mean() / theirs.abs().mean()).item())
    return largest, mean


def reference_peak(name, folder):
    """Runs the reference on a saved checkpoint once and prints the peak of this process in GB."""
    net, make, inputs, run = CASES[name]()
    with torch.device("meta"):
        kind = type(make())
    model = kind.from_pretrained(folder / "net", dtype=torch.float32) if kind.__module__.startswith("transformers") else kind.from_pretrained(folder / "net")
    with torch.no_grad():
        run(model.eval(), inputs)
    # What getrusage tells a child includes the parent it was forked from.
    print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e9)


def theirs_peak(name, folder):
    command = [sys.executable, __file__, "--reference-peak", name, folder]
    return float(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout)


def compare(name, arguments, folder):
    net, make, inputs, run = CASES[name]()
    torch.manual_seed(0)
    model = make().eval()
    # Defaults leave biases at zero and scales at one: move them, so that a forgotten one shows.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder / "net")
    save_file({k: v.contiguous() for k, v in inputs.items()}, folder / "in.safetensors")
    with torch.no_grad():
        reference, theirs = fastest(lambda: run(model, inputs), arguments.repeat)
        if arguments.dtype != "f32":
            half = dict(bf16=torch.bfloat16, f16=torch.float16)[arguments.dtype]
            model = model.to(half)
            cast = {k: v.to(half) if v.is_floating_point() else v for k, v in inputs.items()}
            halved, theirs = fastest(lambda: run(model, cast), arguments.repeat)
            theirs_error = "PyTorch's own {:.1e}".format(errors(halved, reference)[0])
    del model
    command = [arguments.glassctl, "nets", "run", net, "--weights", folder / "net", "--inputs", folder / "in.safetensors",
               "--outputs", folder / "out.safetensors", "--dtype", arguments.dtype, "--repeat", str(arguments.repeat)]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))

    def ours(*flags):
        done = subprocess.run(list(map(str, [*command, *flags])), env=environment, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr}")
        return done.stderr, float(re.search(r"ran in ([\d.]+) s", done.stderr)[1])

    before = f"{ours('--portable')[1] / theirs:.2f}" if arguments.portable else "–"
    said, seconds = ours()
    peaks = [float(n) for n in re.findall(r"peak memory ([\d.]+) GB", said)]
    memory = f" = {peaks[1] / theirs_peak(name, folder):.2f} × PyTorch" if arguments.memory else ""
    weights = sum(file.stat().st_size for file in (folder / "net").glob("*.safetensors")) / 1e9
    if arguments.dtype != "f32":
        weights /= 2
    largest, mean = errors(load_file(folder / "out.safetensors"), reference)
    note = "" if arguments.dtype == "f32" else f" ({theirs_error})"
    print(f"| {name} | {arguments.dtype} | {largest:.1e}{note} | {mean:.1e} | {seconds:.2f} s | {theirs:.2f} s | {before} | {seconds / theirs:.2f} "
          f"| {peaks[0]:.2f} GB = {peaks[0] / weights:.2f} × weights | {peaks[1]:.2f} GB{memory} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glassctl", type=Path, default=Path("target/release/glassctl"))
    parser.add_argument("--only", nargs="*", help=f"of {list(CASES)}")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--portable", action="store_true", help="also time burn's own operations")
    parser.add_argument("--memory", action="store_true", help="also compare the peak with that of a PyTorch process of its own")
    parser.add_argument("--reference-peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--repeat", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.reference_peak:
        return reference_peak(arguments.reference_peak[0], Path(arguments.reference_peak[1]))
    torch.set_num_threads(arguments.threads)
    print("| network | type | largest error | mean error | here | PyTorch | ratio, portable | ratio | peak, loaded | peak |\n|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in CASES:
        if not arguments.only or any(part.lower() in name.lower() for part in arguments.only):
            folder = Path(tempfile.mkdtemp())
            try:
                compare(name, arguments, folder)
            finally:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
