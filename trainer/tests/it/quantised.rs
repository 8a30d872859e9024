//! The autoencoder's losses and gradients agree with PyTorch's (`ci/reference/pixel_methods.py`), with and without the
//! perceptual term.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use glass_nets::Weights;
use glass_nets::perceptual::Perceptual;
use glass_nets::vqvae::{VqVae, VqVaeConfig};
use glass_trainer::autoencoder::distance;
use glass_trainer::checkpoint::vqvae_names;
use glass_trainer::losses::mean_square;
use glass_trainer::parts::with_ids_by_path;

use crate::pixels::{FORWARD, Golden, LEAST_GRADIENT, check_gradients, config, host, input, weights};
use crate::support::device;

fn network() -> VqVae {
    let folder = tempfile::tempdir().unwrap();
    let sizes = serde_json::json!({
        "block_out_channels": [4, 8], "layers_per_block": 1, "latent_channels": 3, "vq_embed_dim": 3,
        "num_vq_embeddings": 20, "norm_num_groups": 2, "scaling_factor": 1.0,
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    });
    let config = VqVaeConfig::read(config(folder.path(), &sizes)).unwrap();
    let source = Weights::drawn(Box::new(|name, shape, _| weights(name, shape)));
    let network = VqVae::from_scope(&source.root(&device()), &config).unwrap();
    with_ids_by_path(network, "autoencoder").set_require_grad(true)
}

/// Pictures, what is painted of them, and the codebook's terms.
fn painted(network: &VqVae) -> (Tensor<4>, Tensor<4>, Tensor<1>) {
    let pictures = input("in.vqvae", [2, 3, 16, 16]);
    let quantised = network.quantize(network.encode(pictures.clone()));
    let painted = network.decode_quantized(quantised.latents);
    (pictures, painted, quantised.loss)
}

fn check(name: &str, network: &VqVae, total: Tensor<1>, golden: &Golden, least: f32) {
    let mut graph = total.backward();
    let gradients = GradientsParams::from_module(&mut graph, network);
    check_gradients(golden, "autoencoder", network, vqvae_names, &gradients, least);
    golden.print(name);
}

#[test]
fn the_vector_quantised_autoencoder_trains_as_pytorch_does() {
    let (golden, network) = (Golden::open("autoencoder"), network());
    let (pictures, painted, quantisation) = painted(&network);
    let loss = mean_square(painted, pictures);
    golden.close(&host(quantisation.clone()), "out.quantisation", FORWARD);
    golden.close(&host(loss.clone()), "out.reconstruction", FORWARD);
    check("autoencoder", &network, loss + quantisation, &golden, LEAST_GRADIENT);
}

#[test]
fn the_perceptual_term_has_the_value_and_gradients_of_lpips() {
    let (golden, network) = (Golden::open("autoencoder-lpips"), network());
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/goldens/pixels/lpips.safetensors");
    let trunk = Perceptual::load(weights, None, &device()).unwrap();
    let (pictures, painted, quantisation) = painted(&network);
    let perceptual = distance(&trunk, painted.clone(), pictures.clone()).unwrap();
    let loss = (painted - pictures).abs().mean();
    golden.close(&host(perceptual.clone()), "out.perceptual", FORWARD);
    golden.close(&host(loss.clone()), "out.reconstruction", FORWARD);
    // Gradients are ten times those of the squared error, and so is the rounding of those that cancel.
    let least = 10.0 * LEAST_GRADIENT;
    check("autoencoder with lpips", &network, loss + perceptual + quantisation, &golden, least);
}
