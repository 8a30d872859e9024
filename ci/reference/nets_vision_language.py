"""Reference tensors for glass-nets: image preprocessing, DINOv2 and BLIP-2.

usage: nets_vision_language.py ASSETS OUT
  ASSETS  the repository's assets folder (mini checkpoints and scenes)
  OUT     pipeline/nets/goldens

Writes OUT/image, OUT/dinov2 and OUT/blip2. Small checkpoints with random weights are saved in f16 and
loaded again in f32, so that both sides compute from the same file. Inputs are made by a formula that the
tests repeat, so they need no space.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    AutoImageProcessor,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)

ASSETS, OUT = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_grad_enabled(False)
torch.set_num_threads(1)


def noise(shape, scale=4.0):
    """Values in [-scale/2, scale/2) from a multiplicative hash of the index."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    hashed = (index * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(2**32)
    values = (hashed.astype(np.float64) / 2**32 - 0.5) * scale
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def scene(index):
    return Image.open(ASSETS / "scenes" / "val" / f"{index:05d}.jpg").convert("RGB")


def pattern(width, height):
    """A picture with edges, slopes and noise, from integers only."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    hashed = (((y * width + x) * 3 + c).astype(np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)
    value = (x * 3 + y * 2 * (c + 1) + (hashed >> np.uint64(26)).astype(np.int64) + 128 * ((x // 7 + y // 5) % 2)) % 256
    return value.astype(np.uint8)


def randomise(model, seed):
    """Weights that make every layer matter: fan-in scaled matrices, uneven norms and biases."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim >= 2 and "position" not in name and "token" not in name and "embed" not in name:
            values *= parameter[0].numel() ** -0.5 * 1.3
        elif parameter.ndim >= 2:
            values *= 0.5
        elif "norm" in name.lower() and name.endswith("weight") or "lambda" in name:
            values = 1 + 0.3 * values
        else:
            values *= 0.1
        parameter.copy_(values)


def save_random(model, seed, folder):
    randomise(model, seed)
    model.half().save_pretrained(folder)
    # The rounded weights, in f32 again.
    return model.float().eval()


def images():
    folder = OUT / "image"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    resizes = []
    sizes = [(97, 61), (128, 128), (33, 200)]
    targets = [(224, 224), (64, 64), (17, 33), (300, 200), (1, 1), (97, 30), (40, 61), (128, 128), (518, 3)]
    for source in sizes:
        picture = Image.fromarray(pattern(*source))
        for target in targets:
            for number in range(5):
                resized = picture.resize(target, resample=Image.Resampling(number))
                digest = hashlib.sha256(np.asarray(resized).tobytes()).hexdigest()
                resizes.append(dict(source=source, target=target, filter=number, sha256=digest))
    (folder / "resize.json").write_text(json.dumps(resizes, separators=(",", ":")))
    decoding(folder)
    processors(folder)


def decoding(folder):
    """Small files of every colour type with the RGB bytes that Pillow makes of them."""
    base = Image.fromarray(pattern(24, 20))
    alpha = Image.fromarray(pattern(24, 20)[:, :, 0])
    rgba = base.copy()
    rgba.putalpha(alpha)
    smooth = base.resize((6, 5), Image.Resampling.BOX).resize((24, 20), Image.Resampling.BICUBIC)
    palette = base.quantize(16)
    palette.info["transparency"] = 3
    grey16 = Image.fromarray((pattern(24, 20)[:, :, 0].astype(np.uint16) * 256) + 77)
    save = dict(
        rgb_png=(base, "png", {}),
        grey_png=(base.convert("L"), "png", {}),
        grey_alpha_png=(rgba.convert("LA"), "png", {}),
        alpha_png=(rgba, "png", {}),
        palette_png=(palette, "png", dict(transparency=3)),
        bilevel_png=(base.convert("1"), "png", {}),
        lossless_webp=(base, "webp", dict(lossless=True)),
        alpha_webp=(rgba, "webp", dict(lossless=True, exact=True)),
        lossy_webp=(smooth, "webp", dict(quality=90)),
        rgb_jpg=(smooth, "jpeg", dict(quality=95, subsampling=0)),
        subsampled_jpg=(smooth, "jpeg", dict(quality=90, subsampling=2)),
        progressive_jpg=(smooth, "jpeg", dict(quality=90, subsampling=2, progressive=True)),
        grey_jpg=(smooth.convert("L"), "jpeg", dict(quality=90)),
        cmyk_jpg=(smooth.convert("CMYK"), "jpeg", dict(quality=95)),
    )
    tensors = {}
    for name, (picture, kind, options) in save.items():
        path = folder / name.replace("_" + name.split("_")[-1], "." + name.split("_")[-1])
        picture.save(path, kind, **options)
        tensors[path.name] = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy())
    # Pillow clips 16-bit grey at 255 instead of scaling it; the upper byte is what is meant.
    grey16.save(folder / "grey16.png")
    upper = torch.from_numpy((np.asarray(grey16) >> 8).astype(np.uint8))
    tensors["grey16.png"] = upper[:, :, None].repeat(1, 1, 3).contiguous()
    save_file(tensors, folder / "decoded.safetensors")


def processors(folder):
    picture = Image.fromarray(pattern(97, 61))
    digests = {}
    for name in ("dinov2", "blip2-opt"):
        processor = AutoImageProcessor.from_pretrained(ASSETS / "mini" / name, backend="pil")
        values = processor(picture, return_tensors="np").pixel_values[0]
        assert values.dtype == np.float32 and values.shape == (3, 128, 128)
        digests[name] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    (folder / "processed.json").write_text(json.dumps(digests))


def dinov2():
    folder = OUT / "dinov2"
    shutil.rmtree(folder, ignore_errors=True)
    configs = {
        "swiglu": (Dinov2Model, Dinov2Config(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=4,
                   image_size=56, patch_size=14, use_swiglu_ffn=True), [(56, 56), (84, 84), (70, 42)]),
        "narrow": (Dinov2Model, Dinov2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2,
                   image_size=40, patch_size=4, qkv_bias=False, layer_norm_eps=1e-5), [(40, 40), (24, 24)]),
        "registers": (Dinov2WithRegistersModel, Dinov2WithRegistersConfig(hidden_size=32, num_hidden_layers=2,
                      num_attention_heads=4, mlp_ratio=4, image_size=42, patch_size=6, num_register_tokens=3),
                      [(42, 42), (24, 30), (60, 60)]),
        # As the giant with registers.
        "giant": (Dinov2WithRegistersModel, Dinov2WithRegistersConfig(hidden_size=40, num_hidden_layers=2,
                  num_attention_heads=5, mlp_ratio=4, image_size=28, patch_size=7, num_register_tokens=4, use_swiglu_ffn=True),
                  [(28, 28), (35, 21)]),
        # As DINO; of what comes with it, the pooler is of no use.
        "dino": (ViTModel, ViTConfig(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=112,
                 image_size=40, patch_size=8, layer_norm_eps=1e-6), [(40, 40), (64, 24)]),
    }
    for seed, (name, (kind, config, sizes)) in enumerate(configs.items()):
        model = save_random(kind(config), seed, folder / name)
        stretch = dict(interpolate_pos_encoding=True) if kind is ViTModel else {}
        tensors = {f"{h}x{w}": model(noise((2, 3, h, w)), **stretch).last_hidden_state for h, w in sizes}
        if name in ("giant", "dino"):
            h, w = sizes[1]
            states = model(noise((2, 3, h, w)), output_hidden_states=True, **stretch).hidden_states
            tensors |= {f"after-{layers}": state.contiguous() for layers, state in enumerate(states)}
        if name == "swiglu":
            tensors["84x84-hub"] = hub_offset(model, 84)
        save_file(tensors, folder / f"{name}.safetensors")
    model = Dinov2Model.from_pretrained(ASSETS / "mini" / "dinov2", dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(ASSETS / "mini" / "dinov2", backend="pil")
    pixels = processor([scene(0)], return_tensors="pt").pixel_values
    tensors = {
        "64x96": model(noise((1, 3, 64, 96))).last_hidden_state,
        # Every eighth token of a scene.
        "scene": model(pixels).last_hidden_state[:, ::8].contiguous(),
        "scene-bytes": torch.from_numpy(np.asarray(scene(0)).copy()),
    }
    save_file(tensors, folder / "mini.safetensors")


def hub_offset(model, side):
    """DINOv2's own stretching of the positions: by the factor (new + 0.1) / old."""
    embeddings, new = model.embeddings, side // 14
    positions = embeddings.position_embeddings
    grid = positions[:, 1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
    factor = (new + 0.1) / 4
    grid = torch.nn.functional.interpolate(grid, scale_factor=(factor, factor), mode="bicubic", align_corners=False)
    stretched = torch.cat((positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)), 1)
    original = embeddings.interpolate_pos_encoding
    embeddings.interpolate_pos_encoding = lambda *_: stretched
    hidden = model(noise((2, 3, side, side))).last_hidden_state
    embeddings.interpolate_pos_encoding = original
    return hidden


SEARCHES = dict(
    greedy=dict(),
    greedy_penalty=dict(repetition_penalty=1.5),
    beams_3=dict(num_beams=3),
    beams_5_full=dict(num_beams=5, length_penalty=2.0, early_stopping=True),
    beams_4_never=dict(num_beams=4, length_penalty=-1.0, early_stopping="never", repetition_penalty=1.3),
)


def blip2():
    folder = OUT / "blip2"
    shutil.rmtree(folder, ignore_errors=True)
    mini = ASSETS / "mini" / "blip2-opt"
    sparse = Blip2Config(
        vision_config=dict(hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=3, image_size=32, patch_size=8),
        qformer_config=dict(hidden_size=40, intermediate_size=72, num_hidden_layers=4, num_attention_heads=5, cross_attention_frequency=3, vocab_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        text_config=dict(model_type="opt", hidden_size=64, ffn_dim=112, num_hidden_layers=3, num_attention_heads=4, word_embed_proj_dim=24, vocab_size=375, max_position_embeddings=80, eos_token_id=202, bos_token_id=2, pad_token_id=1),
        num_query_tokens=5, image_token_index=374)
    dense = Blip2Config(
        vision_config=dict(hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=5, image_size=48, patch_size=16, qkv_bias=False, hidden_act="quick_gelu"),
        qformer_config=dict(hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, cross_attention_frequency=1, vocab_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        text_config=dict(model_type="opt", hidden_size=40, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=32, vocab_size=375, max_position_embeddings=64, eos_token_id=202, bos_token_id=2, pad_token_id=1, do_layer_norm_before=False, activation_function="gelu"),
        num_query_tokens=19, image_token_index=374)
    for seed, (name, config, files, end) in enumerate([
        ("sparse", sparse, ["tokenizer.json"], [202, 286, 115]),
        ("dense", dense, ["vocab.json", "merges.txt"], list(range(40, 60))),
    ]):
        model = Blip2ForConditionalGeneration(config)
        # Upstream projects to the hidden size, which is wrong where words are narrower: its scatter then
        # takes the first values of the batch for every picture. Here it goes to the width of a word.
        model.language_projection = torch.nn.Linear(config.qformer_config.hidden_size, config.text_config.word_embed_proj_dim)
        model.generation_config.eos_token_id = end
        model = save_random(model, 100 + seed, folder / name)
        for file in files:
            shutil.copy(mini / file, folder / name / file)
        side = config.vision_config.image_size
        processor = json.loads((mini / "preprocessor_config.json").read_text())
        processor["size"] = dict(height=side, width=side)
        (folder / name / "preprocessor_config.json").write_text(json.dumps(processor))
        reference(model, folder / name, folder / name)
    model = Blip2ForConditionalGeneration.from_pretrained(mini, dtype=torch.float32).eval()
    reference(model, mini, folder / "mini")


def reference(model, checkpoint, out):
    side = model.config.vision_config.image_size
    pixels = noise((2, 3, side, side))
    image = model.vision_model(pixels).last_hidden_state
    queries = model.query_tokens.expand(2, -1, -1)
    states = model.qformer(query_embeds=queries, encoder_hidden_states=image).last_hidden_state
    ids = torch.tensor([[model.config.image_token_index] * model.config.num_query_tokens + [2]] * 2)
    scores = model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
    tensors = dict(image_tokens=image.contiguous(), query_states=states.contiguous(), first_scores=scores.contiguous())

    processor = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    scenes = [scene(index).resize((side, side), Image.Resampling.BICUBIC) for index in range(16)]
    pixels = processor(scenes, return_tensors="pt").pixel_values
    if out.name != "mini":
        # Random networks tell pictures apart by a rounded pixel, and JPEG decoders round differently.
        tensors["scenes"] = torch.from_numpy(np.stack([np.asarray(picture) for picture in scenes]))
    save_file(tensors, f"{out}.safetensors")
    prompt = model.config.num_query_tokens + 1
    end = model.generation_config.eos_token_id
    result = {}
    for name, options in SEARCHES.items():
        # One by one: what a batch must reproduce. transformers hands only the keywords on to the language
        # model, so that `generation_config.json` has to be read here.
        sequences = [
            model.generate(pixel_values=pixels[i : i + 1], max_new_tokens=24, do_sample=False, eos_token_id=end, **options)[0, prompt:].tolist()
            for i in range(16)
        ]
        result[name] = dict(options=options, sequences=sequences)
    Path(f"{out}.json").write_text(json.dumps(result, separators=(",", ":")))


if __name__ == "__main__":
    images()
    dinov2()
    blip2()
