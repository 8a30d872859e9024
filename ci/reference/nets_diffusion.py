"""Makes the reference tensors of the diffusion networks: pipeline/nets/goldens/diffusion.

    python ci/reference/nets_diffusion.py [--sample-run FILE]

Small random checkpoints are written as published ones are (save_pretrained, f16) and read back as f32,
so that both sides start from the same numbers. With `--sample-run` the given safetensors of a 20-step
run of assets/mini is cut down to what the tests compare; without it that golden is made anew.
Versions: ci/reference/requirements.txt. The tests themselves need no Python.
"""

import argparse
import json
import math
import shutil
import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "assets/mini/stable-diffusion"
OUT = ROOT / "pipeline/nets/goldens/diffusion"
F32 = torch.float32


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed):
    return torch.randn(*shape, generator=seeded(seed))


def liven(model, seed):
    """Biases and norms of a fresh network are zeros and ones: a mix-up would not show."""
    generator = seeded(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def random_checkpoint(make, name, seed):
    torch.manual_seed(seed)
    folder = OUT / name
    liven(make(), seed).to(torch.float16).save_pretrained(folder)
    return folder


def save(name, **tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / f"{name}.safetensors")


# ---------------------------------------------------------------- networks

UNETS = {
    # Convolutional projections, one number of heads for all levels, two layers a block: SD 1.x's kind.
    "unet-conv": dict(
        in_channels=4, out_channels=4, sample_size=8, block_out_channels=(8, 16, 24), layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4, cross_attention_dim=20, norm_num_groups=4,
    ),
    # Four levels, heads by level, linear projections, upcast: SD 2.x's kind; and the rarer switches.
    "unet-levels": dict(
        in_channels=5, out_channels=3, sample_size=16, block_out_channels=(8, 16, 16, 24), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=[1, 2, 4, 6], cross_attention_dim=24, norm_num_groups=4, norm_eps=1e-4,
        use_linear_projection=True, upcast_attention=True, transformer_layers_per_block=[1, 2, 1, 1],
        flip_sin_to_cos=False, freq_shift=1, center_input_sample=True,
    ),
}

VAES = {
    "vae-plain": dict(
        block_out_channels=(8, 16), layers_per_block=2, latent_channels=4, norm_num_groups=4, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        use_quant_conv=False, use_post_quant_conv=False,
    ),
    "vae-old-names": dict(
        block_out_channels=(8, 16, 16), layers_per_block=1, latent_channels=3, norm_num_groups=8, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.3,
    ),
}

CLIPS = {
    "clip-quick": dict(hidden_act="quick_gelu", hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                       num_attention_heads=4, vocab_size=60, eos_token_id=59, bos_token_id=58, pad_token_id=59),
    "clip-gelu": dict(hidden_act="gelu", hidden_size=24, intermediate_size=96, num_hidden_layers=3,
                      num_attention_heads=2, vocab_size=50, max_position_embeddings=20, layer_norm_eps=1e-4,
                      eos_token_id=49, bos_token_id=48, pad_token_id=0),
}


def unet_golden(name, folder, size, batch=3, context_length=11, gradient=False):
    unet = UNet2DConditionModel.from_pretrained(folder, torch_dtype=F32).eval()
    c = unet.config
    sample = randn(batch, c.in_channels, size, size, seed=1)
    context = randn(batch, context_length, c.cross_attention_dim, seed=2).requires_grad_(gradient)
    timesteps = torch.tensor([999, 481, 1][:batch])
    with torch.set_grad_enabled(gradient):
        output = unet(sample, timesteps, context).sample
        weight = randn(*output.shape, seed=3)
        loss = (output * weight).sum()
    tensors = dict(sample=sample, context=context.detach(), timesteps=timesteps.to(F32), output=output.detach())
    if gradient:
        loss.backward()
        tensors.update(weight=weight, context_gradient=context.grad, conv_in_gradient=unet.conv_in.weight.grad,
                       to_k_gradient=unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight.grad)
    save(name, **tensors)


def vae_golden(name, folder, size, tiled=False):
    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=F32).eval()
    image = randn(2, 3, size, size, seed=4).clamp(-1, 1)
    latent = size // 2 ** (len(vae.config.block_out_channels) - 1)
    latents = randn(2, vae.config.latent_channels, latent, latent, seed=5)
    posterior = vae.encode(image).latent_dist
    decoded = vae.decode(latents).sample
    tensors = dict(image=image, mean=posterior.mean, logvar=posterior.logvar, latents=latents, decoded=decoded)
    if tiled:
        vae.enable_tiling()
        wide = randn(1, vae.config.latent_channels, latent + 3, 2 * latent - 2, seed=12)
        tensors.update(wide=wide, tiled=vae.decode(wide).sample)
    save(name, **tensors)


def old_attention_names(folder):
    """Renames the mid attention as checkpoints before diffusers 0.18 have it, once as 1x1 convolutions."""
    path = folder / "diffusion_pytorch_model.safetensors"
    renames = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for key, value in load_file(path).items():
        for new, old in renames.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        conv = key.startswith("encoder") and "attentions.0" in key and value.ndim == 2
        tensors[key] = value[:, :, None, None].contiguous() if conv else value
    save_file(tensors, path, metadata={"format": "pt"})


def clip_golden(name, folder):
    clip = CLIPTextModel.from_pretrained(folder, torch_dtype=F32).eval()
    length = min(clip.config.max_position_embeddings, 77)
    ids = torch.randint(0, clip.config.vocab_size, (3, length), generator=seeded(6))
    ids[:, 5] = clip.config.eos_token_id
    output = clip(ids)
    save(name, input_ids=ids, last_hidden_state=output.last_hidden_state, pooler_output=output.pooler_output)


def networks():
    for i, (name, config) in enumerate(UNETS.items()):
        folder = random_checkpoint(lambda: UNet2DConditionModel(**config), name, 10 + i)
        unet_golden(f"{name}/golden", folder, config["sample_size"], gradient=True)
    unet_golden("unet-mini", MINI / "unet", 16, context_length=77, batch=2)
    for i, (name, config) in enumerate(VAES.items()):
        folder = random_checkpoint(lambda: AutoencoderKL(**config), name, 20 + i)
        vae_golden(f"{name}/golden", folder, config["sample_size"], tiled=name == "vae-old-names")
    old_attention_names(OUT / "vae-old-names")
    vae_golden("vae-mini", MINI / "vae", 32)
    for i, (name, config) in enumerate(CLIPS.items()):
        folder = random_checkpoint(lambda: CLIPTextModel(CLIPTextConfig(**config)), name, 30 + i)
        clip_golden(f"{name}/golden", folder)
    clip_golden("clip-mini", MINI / "text_encoder")


# ---------------------------------------------------------------- tokenizer

PROMPTS = [
    "", " ", "a", "a photo of a cat", "A Photo OF a CAT", "a photo of a cat on the grass; cat",
    "two dogs' bowls", "it's a dog's life, isn't it? they're we've I'm he'll she'd", "IT'S", "cat,dog;bird!?...",
    "  leading and   many \t spaces\nnewline ", "12 cats 345 dogs 6", "1st 2nd 3rd", "naïve café", "cafe\u0301 decomposed",
    "日本語の猫", "кошка на траве", "قطة", "🐱 on 🌊", "👩‍👩‍👧‍👦 family", "Ünïcödé ÀÉÎ", "STRASSE straße", "İstanbul", "a\u00a0b nbsp",
    "zero\u200bwidth", "full　width　space", "ＦＵＬＬ", "ﬁne ligature", "½ cup", "²³", "€5 £6 $7", "under_score and-hyphen", "a/b\\c", "<tag> & \"quotes\"",
    "<|startoftext|> inside", "text <|endoftext|> more", "<|endoftext|>", "word" * 40, "cat " * 100, "photo of many things " * 20,
    "a photo of a cat and a dog and a bird and a car " * 3, "!!!", "!", "airplane bird", "tv monitor, dining table and potted plant", "\u0000 null", "’curly’ “quotes”", "'s 't 're",
    "x" * 300, "e\u0301\u0302\u0303", "Ⅷ roman",
]


def tokenizer():
    cases = {}
    for name, pad in (("mini", None), ("pad-bang", "!")):
        folder = MINI / "tokenizer"
        if pad:
            folder = OUT / "tokenizer-pad-bang"
            folder.mkdir(parents=True, exist_ok=True)
            for file in ("vocab.json", "merges.txt"):
                shutil.copy(MINI / "tokenizer" / file, folder / file)
            config = json.loads((MINI / "tokenizer/tokenizer_config.json").read_text())
            # As Stable Diffusion 2 has it: the token that also is a character, written as an object.
            config["pad_token"] = dict(content=pad, lstrip=False, rstrip=False, single_word=False, normalized=False, __type="AddedToken")
            (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
            config = dict(config, pad_token=pad)
            tok = CLIPTokenizer.from_pretrained(MINI / "tokenizer", pad_token=pad)
        else:
            tok = CLIPTokenizer.from_pretrained(folder)
        cases[name] = dict(
            pad=tok.pad_token_id,
            ids=[tok(p, padding="max_length", truncation=True, max_length=77).input_ids for p in PROMPTS],
            short=tok("", padding="max_length", truncation=True, max_length=7).input_ids,
        )
    # Full rows repeat the padding: keep what comes before it.
    for case in cases.values():
        rows = []
        for row in case["ids"]:
            while len(row) > 2 and row[-1] == case["pad"] and row[-2] == case["pad"]:
                row.pop()
            rows.append(row)
        case["ids"] = rows
    (OUT / "tokenizer.json").write_text(json.dumps(dict(prompts=PROMPTS, cases=cases), separators=(",", ":")))


# ---------------------------------------------------------------- schedulers

SD = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def scheduler_cases():
    for steps in (10, 20, 50):
        for spacing in ("leading", "linspace", "trailing"):
            for prediction in ("epsilon", "v_prediction"):
                common = dict(SD, timestep_spacing=spacing, prediction_type=prediction)
                yield steps, DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=False)
                yield steps, PNDMScheduler(**common, skip_prk_steps=True, set_alpha_to_one=False)
                for final in ("zero", "sigma_min"):
                    yield steps, DPMSolverMultistepScheduler(**common, final_sigmas_type=final)
    yield 10, DDIMScheduler(**dict(SD, beta_schedule="linear", beta_end=0.02), clip_sample=True, set_alpha_to_one=True)
    yield 10, DDIMScheduler(**dict(SD, beta_schedule="squaredcos_cap_v2"), clip_sample=False)
    yield 10, DDIMScheduler(**SD, clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")
    yield 7, DPMSolverMultistepScheduler(**SD, lower_order_final=False, final_sigmas_type="sigma_min")
    yield 100, PNDMScheduler(**SD, skip_prk_steps=True)
    yield 1, PNDMScheduler(**SD, skip_prk_steps=True)
    yield 2, PNDMScheduler(**SD, skip_prk_steps=True)
    for steps in (1, 20):
        for spacing in ("leading", "linspace", "trailing"):
            for prediction in ("epsilon", "v_prediction"):
                for final in ("zero", "sigma_min"):
                    yield steps, EulerDiscreteScheduler(**SD, timestep_spacing=spacing, prediction_type=prediction, final_sigmas_type=final)
    for spacing in ("leading", "linspace", "trailing"):
        for prediction in ("epsilon", "v_prediction"):
            for variance in ("fixed_small", "fixed_large"):
                yield 10, DDPMScheduler(**SD, timestep_spacing=spacing, prediction_type=prediction, variance_type=variance, clip_sample=variance == "fixed_large")
    yield 10, EulerDiscreteScheduler(**SD, rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")


def schedulers():
    outputs, sample = randn(101, 2, 1, 2, 2, seed=7), randn(2, 1, 2, 2, seed=8)
    drawn = torch.Generator().manual_seed(11)
    variance_noise = torch.stack([torch.randn(sample.shape, generator=drawn) for _ in range(10)])
    tensors, cases = dict(model_outputs=outputs, sample=sample, variance_noise=variance_noise), []
    for i, (steps, scheduler) in enumerate(scheduler_cases()):
        scheduler.set_timesteps(steps)
        x, trajectory = sample, []
        scaled = {}
        if isinstance(scheduler, EulerDiscreteScheduler):
            tensors[f"network_input.{i}"] = scheduler.scale_model_input(x, scheduler.timesteps[0])
            scaled = dict(initial_sigma=float(scheduler.init_noise_sigma))
        # DDPM draws from the generator at every step but that of timestep 0.
        random = dict(generator=torch.Generator().manual_seed(11)) if isinstance(scheduler, DDPMScheduler) else {}
        for t, output in zip(scheduler.timesteps, outputs):
            x = scheduler.step(output, t, x, **random).prev_sample
            trajectory.append(x)
        config = {k: v for k, v in scheduler.config.items() if v is not None and k != "lambda_min_clipped"}
        cases.append(dict(steps=steps, config=dict(config, _class_name=type(scheduler).__name__), timesteps=scheduler.timesteps.tolist(), **scaled))
        tensors[f"trajectory.{i}"] = torch.stack(trajectory)
    ddpm = DDPMScheduler(**SD)
    x, noise, t = randn(5, 1, 2, 2, seed=9), randn(5, 1, 2, 2, seed=10), torch.tensor([0, 1, 500, 998, 999])
    tensors.update(alphas_cumprod=ddpm.alphas_cumprod, clean=x, noise=noise, noise_timesteps=t,
                   noisy=ddpm.add_noise(x, noise, t), velocity=ddpm.get_velocity(x, noise, t))
    save("schedulers", **tensors)
    (OUT / "schedulers.json").write_text(json.dumps(cases, separators=(",", ":")))


# ---------------------------------------------------------------- attention

class Means:
    """Attention of the conditional half as Dataset-Diffusion takes it, even and odd calls apart."""

    def __init__(self, samples, contexts, spans):
        self.samples, self.contexts, self.spans = samples, contexts, spans
        self.call, self.sums = 0, {}

    def add(self, key, maps):
        total, count = self.sums.get((key, self.call % 2), (0, 0))
        self.sums[key, self.call % 2] = (total + maps.sum(1), count + maps.shape[1])

    def mean(self, key, part):
        total, count = self.sums[key, part]
        return total / count

    def __call__(self, attn, hidden, encoder_hidden_states=None, attention_mask=None, **_):
        context = hidden if encoder_hidden_states is None else encoder_hidden_states
        heads = lambda x: x.view(x.shape[0], -1, attn.heads, x.shape[-1] // attn.heads).transpose(1, 2)
        q, k, v = heads(attn.to_q(hidden)), heads(attn.to_k(context)), heads(attn.to_v(context))
        probabilities = (q @ k.transpose(2, 3) * attn.scale).softmax(-1)
        side, mine = math.isqrt(hidden.shape[1]), slice(-self.samples, None)
        if encoder_hidden_states is None:
            self.add(f"self_{side}", probabilities[mine])
        else:
            for n in range(self.samples):
                keys = heads(attn.to_k(self.contexts[n]))
                maps = (q[mine][n:n + 1] @ keys.transpose(2, 3) * attn.scale).softmax(-1)  # [prompts, heads, q, 77]
                picked = torch.stack([maps[p][:, :, tokens].mean(-1) for p, tokens in self.spans[n]], 1)  # [heads, classes, q]
                self.add(f"cross_{side}/{n}", picked[None])
        out = (probabilities @ v).transpose(1, 2).reshape(hidden.shape[0], -1, attn.heads * v.shape[-1])
        return attn.to_out[1](attn.to_out[0](out))


def mini_parts():
    unet = UNet2DConditionModel.from_pretrained(MINI / "unet", torch_dtype=F32).eval()
    clip = CLIPTextModel.from_pretrained(MINI / "text_encoder", torch_dtype=F32).eval()
    tok = CLIPTokenizer.from_pretrained(MINI / "tokenizer")
    ids = lambda s: tok(s, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    return unet, clip, ids


def find(row, word):
    row, word = row.tolist(), word.tolist()
    return next(list(range(i, i + len(word))) for i in range(len(row)) if row[i:i + len(word)] == word)


def attention():
    """Three samples with two, one and three classes; three steps, so the parts have two and one call."""
    unet, clip, ids = mini_parts()
    classes = [["cat", "boat"], ["tv monitor"], ["plant", "cow", "dog"]]
    states = lambda texts: clip(ids(texts)).last_hidden_state
    word = lambda w: ids(w)[0][1:int((ids(w)[0] == 625).nonzero()[0])]
    context = torch.cat([states([""] * 3), states([f"a photo of a {' and a '.join(c)}" for c in classes])])
    latents = randn(3, 8, 16, 16, seed=11)
    tensors = dict(context=context, latents=latents)
    for mode in ("per_class", "joint"):
        if mode == "per_class":
            texts = [[f"a photo of a {w}" for w in c] for c in classes]
            spans = [[(i, find(ids(t)[0], word(w))) for i, (t, w) in enumerate(zip(ts, c))] for ts, c in zip(texts, classes)]
        else:
            texts = [[" ".join(c)] for c in classes]
            spans = [[(0, find(ids(t[0])[0], word(w))) for w in c] for t, c in zip(texts, classes)]
        means = Means(3, [states(t) for t in texts], spans)
        unet.set_attn_processor(means)
        for call, t in enumerate((951, 501, 51)):
            means.call = call
            output = unet(torch.cat([latents, latents]), t, context).sample
        for part, name in enumerate(("even", "odd")):
            for n in range(3):
                for side in (8, 16):
                    tensors[f"{mode}.{name}.cross_{side}.{n}"] = means.mean(f"cross_{side}/{n}", part)[0]
            tensors[f"{mode}.{name}.self_8"] = means.mean("self_8", part)
        tensors["output"] = output
        tensors.pop("joint.odd.self_8", None), tensors.pop("joint.even.self_8", None)
    save("attention", **tensors)


def sample_run(path):
    run = load_file(path)
    keep = dict(input_ids=run["input_ids"][:4], class_input_ids=run["class_input_ids"][:4], text_states=run["text_states"][:1],
                latents_first=run["latents_first"][:4], latents_last=run["latents_last"][:4], image=run["image"][:1],
                noise_pred_first_call=run["noise_pred_first_call"], cross_8=run["cross_8"], cross_16=run["cross_16"],
                self_8=run["self_8"], self_16=run["self_16"][2:3])
    save("sample-20-steps", **keep)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample-run", type=Path, help="safetensors of the 20-step run")
    parser.add_argument("--only", nargs="*", help="networks tokenizer schedulers attention")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for part in (networks, tokenizer, schedulers, attention):
        if not arguments.only or part.__name__ in arguments.only:
            with torch.set_grad_enabled(False):
                part()
    if arguments.sample_run:
        sample_run(arguments.sample_run)


if __name__ == "__main__":
    sys.exit(main())
