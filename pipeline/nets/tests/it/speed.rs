//! How fast the networks run, for comparison with `ci/reference/speed_vision_language.py`:
//! `RAYON_NUM_THREADS=1 cargo test --release -p glass-nets --test it -- --ignored --nocapture speed`.

use std::time::Instant;

use glass_nets::blip2::{Blip2, GenerateOptions};
use glass_nets::dinov2::Dinov2Model;

use crate::support::{assets, device, noise};

/// The best of several runs, in milliseconds.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let times = (0..8).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement"]
fn speed_of_the_mini_networks() {
    // What the programs do at their start: keep freed memory, so that its pages are not faulted in again.
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "a call into the C library")]
    // SAFETY: mallopt only sets thresholds.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
    let model = Dinov2Model::load(assets().join("mini/dinov2"), &device()).unwrap();
    let pixels = noise([16, 3, 128, 128]);
    let time = best(|| drop(model.forward(pixels.clone()).unwrap().into_data()));
    println!("speed | dinov2 mini, batch 16 | {time:.1} ms");

    let model = Blip2::load(assets().join("mini/blip2-opt"), &device()).unwrap();
    for beams in [1, 5] {
        let options = GenerateOptions {
            num_beams: beams,
            ..Default::default()
        };
        let time = best(|| drop(model.generate(pixels.clone(), &options).unwrap()));
        println!(
            "speed | blip2 mini, batch 16, {beams} beams | {:.1} captions/s",
            16e3 / time
        );
    }
}
