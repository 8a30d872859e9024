//! Training of the autoencoder: it learns, and goes on where it was stopped.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use glass_nets::vqvae::{VqVae, VqVaeConfig};
use glass_schemas::seeds::{Purpose, Stream};
use glass_trainer::autoencoder::{Losses, Training, learning_rate};
use glass_trainer::checkpoint::{collect, vqvae_names};

use crate::support::device;

const SIDE: usize = 16;
const STEPS: u64 = 60;
const SEED: u64 = 5;

fn config(folder: &Path) -> VqVaeConfig {
    let config = serde_json::json!({
        "block_out_channels": [8, 8], "layers_per_block": 1, "latent_channels": 3, "vq_embed_dim": 3,
        "num_vq_embeddings": 16, "norm_num_groups": 2, "scaling_factor": 1.0, "sample_size": SIDE,
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    VqVaeConfig::read(folder).unwrap()
}

/// Two pictures of two halves of a colour each.
fn pictures() -> Tensor<4> {
    let values = (0..2u64).flat_map(|picture| {
        let stream = Stream::new(1, "pictures", Purpose::Latent).at(picture);
        let (split, colours) = (2 + stream.below(0, 12) as usize, stream.uniform(6));
        (0..3 * SIDE * SIDE).map(move |i| {
            let (channel, column) = (i / (SIDE * SIDE), i % SIDE);
            2.0 * colours[channel + if column < split { 0 } else { 3 }] - 1.0
        })
    });
    let data = TensorData::new(values.collect::<Vec<f32>>(), [2, 3, SIDE, SIDE]);
    Tensor::from_data(data, &device())
}

fn advance(training: &mut Training, until: u64) -> Vec<Losses> {
    (training.step..until)
        .map(|step| {
            let rate = learning_rate(1e-2, step, STEPS);
            training.step(pictures(), rate).unwrap()
        })
        .collect()
}

fn new(config: &VqVaeConfig) -> Training {
    Training::new(config, None, SEED, &device()).unwrap()
}

#[test]
fn an_autoencoder_learns_and_goes_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut whole = new(&config);
    let losses = advance(&mut whole, STEPS);
    let mean = |losses: &[Losses]| {
        losses.iter().map(|l| l.reconstruction).sum::<f32>() / losses.len() as f32
    };
    assert!(mean(&losses[55..]) < 0.8 * mean(&losses[..5]), "{losses:?}");

    let out = folder.path().join("out");
    let mut first = new(&config);
    advance(&mut first, 12);
    first.save(&out, folder.path(), SEED, STEPS).unwrap();
    let mut second = new(&config).resume(&out, SEED, STEPS).unwrap();
    assert_eq!(second.step, 12);
    assert_eq!(advance(&mut second, STEPS), losses[12..]);
    let weights = |training: &Training| collect(&training.network.valid(), vqvae_names);
    assert_eq!(weights(&second), weights(&whole));

    // What is saved is what the latents are later encoded with.
    second.save(&out, folder.path(), SEED, STEPS).unwrap();
    let loaded = VqVae::load(&out, &device().inner()).unwrap();
    let latents = |network: &VqVae, pictures| network.encode(pictures).into_data();
    assert_eq!(
        latents(&loaded, pictures().inner()),
        latents(&second.network.valid(), pictures().inner())
    );
    assert!(new(&config).resume(&out, SEED + 1, STEPS).is_err());
}
