//! How fast the networks run, for comparison with `ci/reference/speed_vision_language.py`:
//! `RAYON_NUM_THREADS=1 cargo test --release --workspace --test glass-nets-it -- --ignored --nocapture speed`.

use glass_nets::blip2::Blip2;
use glass_nets::dinov2::Dinov2Model;
use glass_nets::generate::GenerateOptions;

use crate::support::{assets, device, noise};

/// The best of several runs in milliseconds of the processor's time: with one thread that is what a quiet
/// machine's clock shows, and other programs do not disturb it.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let times = (0..8).map(|_| {
        let start = processor_time();
        run();
        (processor_time() - start) * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Seconds that this process has computed.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "a call into the C library")]
    // SAFETY: the pointer is to a value of the right type.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
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
        let options = GenerateOptions { num_beams: beams, ..Default::default() };
        let time = best(|| drop(model.generate(pixels.clone(), &options).unwrap()));
        println!("speed | blip2 mini, batch 16, {beams} beams | {:.1} captions/s", 16e3 / time);
    }
}
