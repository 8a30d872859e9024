use burn::tensor::{Device, Tensor};
use glass_nets::clip::ClipTextModel;
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::Plain;
use glass_nets::vae::AutoencoderKl;

use crate::golden::{Golden, goldens, mini, parity, vector};

fn unet(golden: &Golden, model: &UNet2DConditionModel, device: &Device) -> Tensor<4> {
    let timesteps = golden.values("timesteps");
    model.forward(golden.tensor("sample", device), &timesteps, golden.tensor("context", device), &mut Plain)
}

#[test]
fn parity_of_the_unet() {
    let device = Device::flex();
    for (name, folder, file) in [
        ("mini", mini("stable-diffusion/unet"), "diffusion/unet-mini.safetensors"),
        ("conv projections", goldens("diffusion/unet-conv"), "diffusion/unet-conv/golden.safetensors"),
        ("four levels", goldens("diffusion/unet-levels"), "diffusion/unet-levels/golden.safetensors"),
    ] {
        let golden = Golden::open(file);
        let model = UNet2DConditionModel::load(folder, &device).unwrap();
        parity("unet", name, &vector(unet(&golden, &model, &device)), &golden.values("output"));
    }
}

#[test]
fn parity_of_the_unets_gradients() {
    let device = Device::flex().autodiff();
    for (name, folder) in [("conv projections", "unet-conv"), ("four levels", "unet-levels")] {
        let golden = Golden::open(&format!("diffusion/{folder}/golden.safetensors"));
        let model = UNet2DConditionModel::load(goldens(&format!("diffusion/{folder}")), &device).unwrap();
        let context = golden.tensor::<3>("context", &device).require_grad();
        let timesteps = golden.values("timesteps");
        let output = model.forward(golden.tensor("sample", &device), &timesteps, context.clone(), &mut Plain);
        let gradients = (output * golden.tensor("weight", &device)).sum().backward();
        let of_context = context.grad(&gradients).unwrap();
        parity("unet, d/d context", name, &vector(of_context), &golden.values("context_gradient"));
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/unet-mini.safetensors");
    let model = UNet2DConditionModel::load(mini("stable-diffusion/unet"), &device).unwrap();
    let batch = unet(&golden, &model, &device);
    let first = model.forward(
        golden.tensor::<4>("sample", &device).narrow(0, 1, 1),
        &golden.values("timesteps")[1..2],
        golden.tensor::<3>("context", &device).narrow(0, 1, 1),
        &mut Plain,
    );
    assert_eq!(vector(first), vector(batch.narrow(0, 1, 1)));
}

#[test]
fn parity_of_the_autoencoder() {
    let device = Device::flex();
    for (name, folder, file) in [
        ("mini", mini("stable-diffusion/vae"), "diffusion/vae-mini.safetensors"),
        ("no quant convs", goldens("diffusion/vae-plain"), "diffusion/vae-plain/golden.safetensors"),
        ("old attention names", goldens("diffusion/vae-old-names"), "diffusion/vae-old-names/golden.safetensors"),
    ] {
        let golden = Golden::open(file);
        let vae = AutoencoderKl::load(folder, &device).unwrap();
        let posterior = vae.encode(golden.tensor("image", &device));
        parity("vae encoder, mean", name, &vector(posterior.mean), &golden.values("mean"));
        parity("vae encoder, log-variance", name, &vector(posterior.logvar), &golden.values("logvar"));
        let decoded = vae.decode(golden.tensor("latents", &device));
        parity("vae decoder", name, &vector(decoded), &golden.values("decoded"));
    }
}

#[test]
fn tiles_are_blended_as_upstream_blends_them() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/vae-old-names/golden.safetensors");
    let vae = AutoencoderKl::load(goldens("diffusion/vae-old-names"), &device).unwrap();
    let tiled = vae.decode_tiled(golden.tensor("wide", &device));
    parity("vae decoder", "tiled", &vector(tiled), &golden.values("tiled"));
}

#[test]
fn a_large_batch_is_decoded_picture_by_picture_to_the_same_numbers() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/vae-old-names/golden.safetensors");
    let vae = AutoencoderKl::load(goldens("diffusion/vae-old-names"), &device).unwrap();
    // More than 64² positions together, fewer alone.
    let latents = golden.tensor::<4>("latents", &device).repeat(&[20, 1, 2, 2]);
    assert!(latents.dims()[0] * latents.dims()[2] * latents.dims()[3] > 64 * 64);
    let all = vae.decode(latents.clone());
    for picture in [0, 1, 39] {
        let alone = vae.decode(latents.clone().narrow(0, picture, 1));
        assert_eq!(vector(alone), vector(all.clone().narrow(0, picture, 1)));
    }
}

#[test]
fn parity_of_the_text_encoder() {
    let device = Device::flex();
    for (name, folder, file) in [
        ("mini", mini("stable-diffusion/text_encoder"), "diffusion/clip-mini.safetensors"),
        ("quick gelu", goldens("diffusion/clip-quick"), "diffusion/clip-quick/golden.safetensors"),
        ("gelu", goldens("diffusion/clip-gelu"), "diffusion/clip-gelu/golden.safetensors"),
    ] {
        let golden = Golden::open(file);
        let clip = ClipTextModel::load(folder, &device).unwrap();
        let states = clip.forward(golden.int_tensor("input_ids", &device));
        parity("clip text", name, &vector(states.clone()), &golden.values("last_hidden_state"));
        let pooled = clip.pooled(states, &golden.integers("input_ids")).unwrap();
        parity("clip text, pooled", name, &vector(pooled), &golden.values("pooler_output"));
    }
}
