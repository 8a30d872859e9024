"""Reference tensors for glass-nets: the language models that write captions, with given token ids too.

usage: nets_language.py ASSETS OUT
  ASSETS  the repository's assets folder (captions and the mini checkpoint)
  OUT     pipeline/nets/goldens

Writes OUT/t5, OUT/blip2-t5, OUT/blip, OUT/blip2/untied* and OUT/blip2/mini-texts*. Run it after
nets_vision_language.py, which empties OUT/blip2. Weights are saved in f16 and loaded again in f32, so that
both sides compute from the same file. Pictures are made by a formula that the tests repeat.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from nets_vision_language import noise, randomise
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    BlipConfig,
    BlipForConditionalGeneration,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)
from transformers.models.t5.modeling_t5 import T5Attention

ASSETS, OUT = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_grad_enabled(False)
torch.set_num_threads(1)

PICTURES = 6
SEARCHES = dict(
    greedy=dict(),
    greedy_penalty=dict(repetition_penalty=1.5),
    beams_4=dict(num_beams=4),
    beams_4_penalty=dict(num_beams=4, repetition_penalty=1.5, early_stopping=True),
    beams_4_long=dict(num_beams=4, length_penalty=2.0),
    beams_3_short=dict(num_beams=3, length_penalty=-1.0, early_stopping="never"),
)


def captions():
    text = json.loads((ASSETS / "scenes" / "train" / "captions.json").read_text())
    return [entry["caption"] for entry in text["annotations"]]


def unigram(folder, size):
    """A tokenizer like T5's: padding 0, end of text 1, unknown 2."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(captions(), trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def wordpiece(folder, size, kind):
    """A tokenizer like BERT's: padding 0, unknown 1, [CLS] 2, [SEP] 3, and [DEC] behind the vocabulary."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(captions(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokenizer.add_special_tokens(["[DEC]"])
    if kind == "json":
        tokenizer.save(str(folder / "tokenizer.json"))
    else:
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words))
    return tokenizer


def save(model, seed, folder):
    """Random weights; what is tied stays tied."""
    randomise(model, seed)
    model.half().save_pretrained(folder)
    return model.float().eval()


def searches(model, pixels, **inputs):
    """Sequences of a whole batch, as `generate` returns them."""
    return {
        name: dict(options=options, sequences=model.generate(pixel_values=pixels, max_new_tokens=14, do_sample=False, **inputs, **options).tolist())
        for name, options in SEARCHES.items()
    }


def write(path, tensors, result):
    """Three pictures of every network's output are enough."""
    kept = {name: tensor[:3].contiguous() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(kept, f"{path}.safetensors")
    Path(f"{path}.json").write_text(json.dumps(result, separators=(",", ":")))


def padded(rows, padding, side="left"):
    """Rows of ids to a tensor and its mask."""
    longest = max(map(len, rows))
    fill = [[padding] * (longest - len(row)) for row in rows]
    ids = [f + r if side == "left" else r + f for f, r in zip(fill, rows)]
    mask = [[0] * len(f) + [1] * len(r) if side == "left" else [1] * len(r) + [0] * len(f) for f, r in zip(fill, rows)]
    return torch.tensor(ids), torch.tensor(mask)


def t5_encoders():
    folder = OUT / "t5"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    configs = {
        # The encoder alone, gated as T5 1.1 is.
        "encoder": (T5EncoderModel, T5Config(d_model=24, d_kv=10, d_ff=40, num_layers=3, num_heads=3, vocab_size=64, feed_forward_proj="gated-gelu")),
        # A whole T5 of the first kind, with few and narrow buckets.
        "whole": (T5ForConditionalGeneration, T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=1, num_heads=4, vocab_size=64, relative_attention_num_buckets=9, relative_attention_max_distance=17, layer_norm_epsilon=1e-5)),
        # An activation named by the projection.
        "silu": (T5EncoderModel, T5Config(d_model=16, d_kv=4, d_ff=24, num_layers=1, num_heads=2, vocab_size=64, feed_forward_proj="gated-silu", relative_attention_num_buckets=64)),
    }
    ids, mask = padded([[5, 9, 33, 2, 60, 7, 1], [3, 4, 1]], 0, "right")
    long = torch.arange(300)[None] * 7 % 64
    for seed, (name, (kind, config)) in enumerate(configs.items()):
        model = save(kind(config), 200 + seed, folder / name)
        tensors = dict(
            padded=model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state,
            left=model.get_encoder()(input_ids=ids.flip(1), attention_mask=mask.flip(1)).last_hidden_state,
            long=model.get_encoder()(input_ids=long).last_hidden_state[:, ::10],
        )
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / f"{name}.safetensors")
    (folder / "ids.json").write_text(json.dumps(dict(ids=ids.tolist(), mask=mask.tolist(), long=long.tolist()), separators=(",", ":")))
    buckets = []
    for count, distance in [(32, 128), (32, 20), (9, 17), (128, 800), (4, 3)]:
        for both in (True, False):
            relative = torch.arange(-1000, 1001)
            of = T5Attention._relative_position_bucket(relative, bidirectional=both, num_buckets=count, max_distance=distance)
            values, runs = torch.unique_consecutive(of, return_counts=True)
            buckets.append(dict(count=count, distance=distance, both=both, runs=list(zip(values.tolist(), runs.tolist()))))
    (folder / "buckets.json").write_text(json.dumps(buckets, separators=(",", ":")))


def blip2_t5():
    folder = OUT / "blip2-t5"
    shutil.rmtree(folder, ignore_errors=True)
    small = dict(vocab_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    configs = {
        # As Flan-T5: gated by the exact GELU, an output layer of its own, unequal depths.
        "flan": Blip2Config(
            vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8),
            qformer_config=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, **small),
            text_config=dict(model_type="t5", d_model=40, d_kv=12, d_ff=64, num_layers=3, num_decoder_layers=2, num_heads=4, vocab_size=203, feed_forward_proj="gated-gelu", dense_act_fn="gelu", tie_word_embeddings=False, bos_token_id=1, decoder_start_token_id=0, eos_token_id=[1, 55, 119, 133]),
            num_query_tokens=4, image_token_index=202),
        # As the first T5: one product with ReLU, a tied and scaled output layer.
        "first": Blip2Config(
            vision_config=dict(hidden_size=48, intermediate_size=40, num_hidden_layers=1, num_attention_heads=3, image_size=32, patch_size=16),
            qformer_config=dict(hidden_size=32, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, cross_attention_frequency=1, **small),
            text_config=dict(model_type="t5", d_model=32, d_kv=8, d_ff=56, num_layers=2, num_heads=4, vocab_size=203, relative_attention_num_buckets=12, relative_attention_max_distance=30, decoder_start_token_id=0, bos_token_id=2, eos_token_id=[1, 7, 9, 20]),
            num_query_tokens=6, image_token_index=202),
    }
    for seed, (name, config) in enumerate(configs.items()):
        model = Blip2ForConditionalGeneration(config)
        if name == "flan":
            model.language_model.lm_head.weight = torch.nn.Parameter(torch.zeros(203, 40))
        model = save(model, 310 + seed, folder / name)
        tokenizer = unigram(folder / name, 200)
        assert tokenizer.get_vocab_size() <= 202, tokenizer.get_vocab_size()
        side = config.vision_config.image_size
        pixels = noise((PICTURES, 3, side, side))
        image = [config.image_token_index] * config.num_query_tokens
        texts = ["a photo of", "two cats", "a dog and a tree on the grass", "sheep", "a photo of", "a bird"]
        rows = [tokenizer.encode(text).ids for text in texts]
        ids, mask = padded(rows, 0, "right")
        ids = torch.cat((torch.tensor([image] * PICTURES), ids), 1)
        mask = torch.cat((torch.ones(PICTURES, len(image), dtype=torch.long), mask), 1)
        written = torch.tensor([[0] + rows[2][:5]] * PICTURES) + torch.arange(PICTURES)[:, None] * (torch.arange(6) > 0)
        vision = model.vision_model(pixels).last_hidden_state
        states = model.qformer(query_embeds=model.query_tokens.expand(PICTURES, -1, -1), encoder_hidden_states=vision).last_hidden_state
        forward = model(pixel_values=pixels, input_ids=ids, attention_mask=mask, decoder_input_ids=written)
        blind = model(pixel_values=pixels, input_ids=ids[:, len(image):], attention_mask=mask[:, len(image):], decoder_input_ids=written)
        tensors = dict(image_tokens=vision, query_states=states, logits=forward.logits, blind=blind.logits, ids=ids, mask=mask, written=written)
        text = dict(text=texts[2], ids=rows[2], decoded=tokenizer.decode(rows[2]))
        write(folder / name, tensors, dict(alone=searches(model, pixels), text=searches(model, pixels, input_ids=ids, attention_mask=mask), tokenizer=text))


def blip():
    folder = OUT / "blip"
    shutil.rmtree(folder, ignore_errors=True)
    configs = {
        # Eight heads, which the class has by default, and tied layers.
        "base": (BlipConfig(
            vision_config=dict(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=48, patch_size=16),
            text_config=dict(hidden_size=40, intermediate_size=72, num_hidden_layers=2, vocab_size=221, max_position_embeddings=40, bos_token_id=220, sep_token_id=121)), "json"),
        # Other widths, an untied output layer, another activation, positions to stretch.
        "wide": (BlipConfig(
            vision_config=dict(hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8, hidden_act="quick_gelu", layer_norm_eps=1e-6),
            text_config=dict(hidden_size=48, intermediate_size=56, num_hidden_layers=3, num_attention_heads=3, vocab_size=221, max_position_embeddings=64, bos_token_id=220, sep_token_id=151, hidden_act="gelu_new", layer_norm_eps=1e-6)), "txt"),
    }
    for seed, (name, (config, kind)) in enumerate(configs.items()):
        model = BlipForConditionalGeneration(config)
        if name == "wide":
            head = model.text_decoder.cls.predictions.decoder
            head.weight = torch.nn.Parameter(torch.zeros(221, 48))
        model = save(model, 400 + seed, folder / name)
        tokenizer = wordpiece(folder / name, 220, kind)
        assert tokenizer.get_vocab_size() <= 221, tokenizer.get_vocab_size()
        side = config.vision_config.image_size
        pixels = noise((PICTURES, 3, side, side))
        texts = ["a photo of", "two cats", "a dog and a tree on the grass", "sheep", "a photo of", "a bird"]
        rows = [[2] + tokenizer.encode(text).ids + [3] for text in texts]
        ids, mask = padded(rows, 0, "right")
        left, left_mask = padded(rows, 0, "left")
        vision = model.vision_model(pixels).last_hidden_state
        tensors = dict(
            image_tokens=vision,
            larger=model.vision_model(noise((2, 3, side + 16, side)), interpolate_pos_encoding=True).last_hidden_state,
            logits=model(pixel_values=pixels, input_ids=ids, attention_mask=mask).logits,
            left_logits=model(pixel_values=pixels, input_ids=left, attention_mask=left_mask).logits,
            plain_logits=model(pixel_values=pixels, input_ids=ids).logits,
            ids=ids, mask=mask, left=left, left_mask=left_mask,
        )
        # Upstream writes into the ids that it is given.
        result = dict(
            alone=searches(model, pixels),
            text=searches(model, pixels, input_ids=ids.clone(), attention_mask=mask),
            left=searches(model, pixels, input_ids=left.clone(), attention_mask=left_mask),
            unmasked=searches(model, pixels, input_ids=ids.clone()),
            tokenizer=dict(text=texts[2], ids=rows[2][1:-1], decoded=tokenizer.decode(rows[2])),
        )
        write(folder / name, tensors, result)


def blip2_opt():
    """Texts beside the pictures, padded on either side: the trained captioner and one with a head of its own."""
    folder = OUT / "blip2"
    config = Blip2Config(
        vision_config=dict(hidden_size=24, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16),
        qformer_config=dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, vocab_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
        text_config=dict(model_type="opt", hidden_size=48, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=48, vocab_size=375, max_position_embeddings=64, eos_token_id=[202, 286, 115], bos_token_id=2, pad_token_id=1, activation_function="gelu_new"),
        num_query_tokens=3, image_token_index=374)
    shutil.rmtree(folder / "untied", ignore_errors=True)
    model = Blip2ForConditionalGeneration(config)
    model.language_model.lm_head.weight = torch.nn.Parameter(torch.zeros(375, 48))
    opt_texts(save(model, 520, folder / "untied"), folder / "untied")
    mini = ASSETS / "mini" / "blip2-opt"
    opt_texts(Blip2ForConditionalGeneration.from_pretrained(mini, dtype=torch.float32).eval(), folder / "mini")


def opt_texts(model, out):
    config = model.config
    side = config.vision_config.image_size
    pixels = noise((PICTURES, 3, side, side))
    image = [config.image_token_index] * config.num_query_tokens
    rows = [image + [2] + text for text in ([], [68, 268], [5, 6, 7, 8, 9, 10], [300], [99, 98, 97], [3])]
    ids, mask = padded(rows, 1, "left")
    right, right_mask = padded(rows, 1, "right")
    tensors = dict(
        logits=model(pixel_values=pixels, input_ids=ids, attention_mask=mask).logits,
        right_logits=model(pixel_values=pixels, input_ids=right, attention_mask=right_mask).logits,
        unmasked=model(pixel_values=pixels, input_ids=ids).logits[:, ::3],
        blind=model(pixel_values=pixels, input_ids=torch.tensor([[2, 60 + row] for row in range(PICTURES)])).logits,
        ids=ids, mask=mask, right=right, right_mask=right_mask,
    )
    result = dict(
        alone=searches(model, pixels),
        left=searches(model, pixels, input_ids=ids, attention_mask=mask),
        right=searches(model, pixels, input_ids=right, attention_mask=right_mask),
        unmasked=searches(model, pixels, input_ids=ids),
    )
    write(Path(f"{out}-texts"), tensors, result)


if __name__ == "__main__":
    t5_encoders()
    blip2_t5()
    blip()
    blip2_opt()
