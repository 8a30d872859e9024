//! Training of the autoencoder: it learns, and goes on where it was stopped.

use std::path::Path;
use std::process::{Command, Output};

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
    let mean = |losses: &[Losses]| losses.iter().map(|l| l.reconstruction).sum::<f32>() / losses.len() as f32;
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
    assert_eq!(latents(&loaded, pictures().inner()), latents(&second.network.valid(), pictures().inner()));
    assert!(new(&config).resume(&out, SEED + 1, STEPS).is_err());
}

fn command(folder: &Path, more: &[&str]) -> Output {
    let lpips = concat!(env!("CARGO_MANIFEST_DIR"), "/goldens/pixels/lpips.safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.arg("autoencoder").arg("--config").arg(folder).arg("--out").arg(folder.join("trained"));
    command.args(["--steps", "4", "--batch", "2", "--save-every", "2", "--log-every", "1", "--lpips", lpips]);
    command.args(more).output().unwrap()
}

#[test]
fn the_command_trains_in_a_folder_and_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    config(folder);
    let images = folder.join("images");
    std::fs::create_dir(&images).unwrap();
    for (name, shade) in [("a.png", 40_u8), ("b.png", 200), ("c.jpg", 120)] {
        // Wider than high: the square in the middle is taken.
        let picture = image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([shade, x as u8 * 6, y as u8 * 10]));
        picture.save(images.join(name)).unwrap();
    }
    std::fs::write(images.join("notes.txt"), "left alone").unwrap();
    let of_images = ["--images", images.to_str().unwrap()];

    let done = command(folder, &of_images);
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{log}");
    assert!(log.contains("perceptual=") && log.contains("codes="), "{log}");
    let trained = folder.join("trained");
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), trained.display().to_string());
    VqVae::load(&trained, &device().inner()).unwrap();
    let weights = || std::fs::read(trained.join("diffusion_pytorch_model.safetensors")).unwrap();
    let progress = std::fs::read_to_string(trained.join("training.json")).unwrap();
    assert!(progress.contains("\"step\": 4"), "{progress}");
    // Done is done; and the same again elsewhere gives the same weights.
    let before = weights();
    assert!(command(folder, &of_images).status.success());
    assert_eq!(before, weights());
    std::fs::remove_dir_all(&trained).unwrap();
    assert!(command(folder, &of_images).status.success());
    assert_eq!(before, weights());

    let refuses = |more: &[&str], named: &str| {
        let refused = command(folder, more);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(message.contains(named), "{message}");
    };
    refuses(&[of_images[0], of_images[1], "--seed", "7"], "not of 4 steps with seed 7");
    refuses(&[of_images[0], of_images[1], "--image-size", "17"], "17 pixels");
    refuses(&["--images", "nowhere"], "nowhere");
    std::fs::write(images.join("broken.png"), "no picture").unwrap();
    std::fs::remove_dir_all(&trained).unwrap();
    refuses(&of_images, "broken.png");
}
