"""Small folders and files of published networks beside slot attention, with random weights under the names of the
original classes: Latent Slot Diffusion's UNet encoder and its UNet with positions, the UNet of GLASS, the autoregressive
decoder of the object-centric learning framework, SPOT's student with trained blocks of its encoder. And what the
published computation makes of them.

    python ci/reference/release_networks.py          # writes the goldens of the tests
"""

import json

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import ViTModel

import release_folders as folders
from pixel_methods import SMALL_ENCODER, SMALL_POSITIONED, SMALL_UNET, UNetEncoder, add_positions, fill
from release_folders import CONFIG, GOLDENS, SPOT, Dinosaur, MultiHeadSTEVESA, Spot, keep, randomised

VIT = GOLDENS.parents[2] / "goldens/methods/vit"
FIRST = 1  # the first block that the student trains


def component(name, kind, config, network):
    """`checkpoint/KIND/` as `save_pretrained` writes it."""
    folder = GOLDENS / name / "checkpoint" / kind.lower()
    folder.mkdir(parents=True, exist_ok=True)
    config = {"_class_name": kind, "_diffusers_version": "0.21.4", **config}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file(network.state_dict(), folder / "diffusion_pytorch_model.safetensors", {"format": "pt"})


def latents():
    return torch.randn(2, 3, 8, 8), torch.tensor([41, 730])


def lsd_movi():
    """Latent Slot Diffusion from nothing: encoder, slots and UNet."""
    config = {**CONFIG, "input_size": 6, "out_size": 6, "input_resolution": 8, "num_iterations": 2}
    encoder, slots = fill(UNetEncoder(**SMALL_ENCODER)), randomised(MultiHeadSTEVESA(config))
    unet = fill(add_positions(UNet2DConditionModel(**SMALL_POSITIONED), 8))
    component("lsd-movi", "UNetEncoder", SMALL_ENCODER, encoder)
    component("lsd-movi", "MultiHeadSTEVESA", config, slots)
    component("lsd-movi", "UNet2DConditionModelWithPos", {"pos_type": "cartesian", **SMALL_POSITIONED}, unet)
    pictures, noise, (x, t) = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 3, 8), latents()
    found, attention = slots(encoder(pictures), noise)
    rows = pictures.flatten(2).transpose(1, 2)
    keep("lsd-movi", features=rows, noise=noise, slots=found, attention=attention, latents=x, predicted=unet(x, t, found).sample)


def glass_generation():
    """GLASS's second stage: slots and the UNet trained on them."""
    sizes = {**SMALL_UNET, "use_linear_projection": True}
    slots, unet = randomised(MultiHeadSTEVESA(CONFIG)), fill(UNet2DConditionModel(**sizes))
    component("glass-generation", "MultiHeadSTEVESA", CONFIG, slots)
    component("glass-generation", "UNet2DConditionModel", sizes, unet)
    features, noise, (x, t) = torch.randn(2, 12, 4, 4), torch.randn(2, 3, 8), latents()
    found, attention = slots(features, noise)
    rows = features.flatten(2).transpose(1, 2)
    keep("glass-generation", features=rows, noise=noise, slots=found, attention=attention, latents=x,
         predicted=unet(x, t, found).sample)


class AutoregressivePatchDecoder(nn.Module):
    """Of the framework, as its published configurations build it: PyTorch's decoder layers, norms first."""

    def __init__(self, slot, width, tokens, layers, heads, hidden):
        super().__init__()
        layer = nn.TransformerDecoderLayer(width, heads, hidden, 0.0, "relu", batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers)
        self.bos_token = nn.Parameter(torch.zeros(1, 1, width))
        self.cond_transform = nn.Sequential(nn.Linear(slot, width, bias=False), nn.LayerNorm(width))
        self.inp_transform = nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width))
        self.register_buffer("mask", torch.triu(torch.full((tokens, tokens), float("-inf")), 1))

    def forward(self, slots, target):
        memory = self.cond_transform(slots)
        x = self.inp_transform(torch.cat([self.bos_token.expand(len(target), -1, -1), target[:, :-1]], 1))
        for layer in self.decoder.layers:
            # The weights of the last layer's attention to the slots, meant over the heads, are the masks.
            x = x + layer._sa_block(layer.norm1(x), self.mask, None)
            query = layer.norm2(x)
            update, weights = layer.multihead_attn(query, memory, memory, need_weights=True)
            x = x + update
            x = x + layer._ff_block(layer.norm3(x))
        return x, weights.transpose(1, 2)


def dinosaur_auto():
    base = randomised(Dinosaur())
    decoder = randomised(AutoregressivePatchDecoder(slot=8, width=12, tokens=16, layers=2, heads=3, hidden=20))
    base.models["object_decoder"] = decoder
    tensors = dict(base.state_dict()) | {"models.feature_extractor.model.cls_token": torch.randn(1, 1, 12)}
    (GOLDENS / "dinosaur-auto").mkdir(parents=True, exist_ok=True)
    save_file(tensors, GOLDENS / "dinosaur-auto/model.safetensors")
    features, noise = torch.randn(2, 16, 12), torch.randn(2, 3, 8)
    base.models["object_decoder"] = folders.PatchDecoder(8, 12, 16, 10)
    slots, attention, *_ = base(features, noise)
    decoded, masks = decoder(slots, features)
    # The same layers, called as PyTorch calls them.
    whole = decoder.decoder(
        decoder.inp_transform(torch.cat([decoder.bos_token.expand(2, -1, -1), features[:, :-1]], 1)),
        decoder.cond_transform(slots), decoder.mask,
    )  # fmt: skip
    assert (whole - decoded).abs().max() < 1e-5
    keep("dinosaur-auto", features=features, noise=noise, slots=slots, attention=attention, masks=masks, decoded=decoded)


class Block(nn.Module):
    """A block of the original vision transformer code, by its names."""

    def __init__(self, width, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        q, k, v = self.attn.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.attn.proj((weights @ v).transpose(1, 2).flatten(2))
        return x + self.mlp.fc2(nn.functional.gelu(self.mlp.fc1(self.norm2(x))))


def spot_student():
    """Its encoder's last blocks differ from the network that it started from; a second encoder keeps the target."""
    vit = ViTModel.from_pretrained(VIT, add_pooling_layer=False).eval()
    sizes = {**SPOT, "features": 16, "heads": 2}
    model = randomised(Spot(sizes, learned=True))
    blocks = randomised(nn.ModuleList(Block(16, 24, 2) for _ in range(3)))
    x = vit.embeddings(torch.randn(2, 3, 16, 16))
    for layer in vit.layers[:FIRST]:
        x = plain(layer(x))
    states = trained = frozen = x
    for block in blocks[FIRST:]:
        trained = block(trained)
    for layer in vit.layers[FIRST:]:
        frozen = plain(layer(frozen))
    noise = torch.randn(2, 3, 8)
    slots, attention = model.slot_attn(trained[:, 1:], noise, sizes["iterations"])
    target = frozen[:, 1:]
    begin = model.bos_tokens[0].expand(2, -1, -1)
    y, memory = model.input_proj(torch.cat([begin, target[:, :-1]], 1)), model.slot_proj(slots)
    for place, block in enumerate(model.dec.blocks):
        y, weights = block(y, memory, place == 0)
    masks = weights.sum(1)
    tensors = dict(model.state_dict()) | {f"encoder.blocks.{k}": v for k, v in blocks.state_dict().items()}
    tensors |= {"encoder.cls_token": torch.randn(1, 1, 16), "second_encoder.cls_token": torch.randn(1, 1, 16)}
    (GOLDENS / "spot-student").mkdir(parents=True, exist_ok=True)
    save_file(tensors, GOLDENS / "spot-student/checkpoint.safetensors")
    keep("spot-student", features=states, noise=noise, slots=slots, attention=attention.transpose(1, 2),
         masks=(masks / masks.sum(-1, keepdim=True)).transpose(1, 2), decoded=model.dec.layer_norm(y))


def plain(output):
    return output[0] if isinstance(output, tuple) else output


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(17)
    with torch.no_grad():
        for write in (lsd_movi, glass_generation, dinosaur_auto, spot_student):
            write()
