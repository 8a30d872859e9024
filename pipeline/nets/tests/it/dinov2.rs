use burn::tensor::{Tensor, s};
use glass_nets::dinov2::Dinov2Model;
use glass_nets::image::{ImageProcessor, RgbImage};
use glass_nets::vision::PositionInterpolation;

use crate::support::{assets, check, device, goldens, noise, relative_error, tensors};

#[test]
fn hidden_states_agree_with_transformers() {
    let cases: [(&str, &str, &[[usize; 2]]); 4] = [
        ("swiglu", "swiglu", &[[56, 56], [84, 84], [70, 42]]),
        ("narrow", "narrow", &[[40, 40], [24, 24]]),
        ("registers", "registers", &[[42, 42], [24, 30], [60, 60]]),
        ("mini", "", &[[64, 96]]),
    ];
    for (name, folder, sizes) in cases {
        let checkpoint = match folder {
            "" => assets().join("mini/dinov2"),
            folder => goldens().join("dinov2").join(folder),
        };
        let model = Dinov2Model::load(checkpoint, &device()).unwrap();
        let golden = tensors(goldens().join("dinov2"), name);
        for [height, width] in sizes {
            let size = format!("{height}x{width}");
            let batch = golden.shape(&size).unwrap()[0];
            let hidden = model.forward(noise([batch, 3, *height, *width])).unwrap();
            check(
                "dinov2",
                &format!("{name} {size}"),
                relative_error(&golden, &size, hidden),
            );
        }
    }
}

#[test]
fn positions_stretch_by_the_factor_of_the_original_code_when_asked() {
    let model = Dinov2Model::load(goldens().join("dinov2/swiglu"), &device()).unwrap();
    let golden = tensors(goldens().join("dinov2"), "swiglu");
    let model = model.with_interpolation(PositionInterpolation::HubOffset);
    let hidden = model.forward(noise([2, 3, 84, 84])).unwrap();
    check(
        "dinov2",
        "swiglu 84x84 hub offset",
        relative_error(&golden, "84x84-hub", hidden),
    );
}

#[test]
fn a_scene_agrees_from_its_bytes_on() {
    let folder = assets().join("mini/dinov2");
    let golden = tensors(goldens().join("dinov2"), "mini");
    let scene =
        RgbImage::from_raw(128, 128, golden.bytes("scene-bytes").unwrap().to_vec()).unwrap();
    let pixels = ImageProcessor::load(&folder)
        .unwrap()
        .batch(&[scene], &device())
        .unwrap();
    let hidden = Dinov2Model::load(&folder, &device())
        .unwrap()
        .forward(pixels)
        .unwrap();
    let eighth = hidden.slice([s![..], s![..;8], s![..]]);
    check(
        "dinov2",
        "mini scene",
        relative_error(&golden, "scene", eighth),
    );
}

#[test]
fn patch_tokens_leave_out_class_and_registers() {
    let model = Dinov2Model::load(goldens().join("dinov2/registers"), &device()).unwrap();
    let pixels: Tensor<4> = noise([1, 3, 24, 30]);
    let (all, patches) = (
        model.forward(pixels.clone()).unwrap(),
        model.patch_tokens(pixels).unwrap(),
    );
    assert_eq!(patches.dims(), [1, 20, 32]);
    let difference: f32 = (all.narrow(1, 4, 20) - patches).abs().max().into_scalar();
    assert_eq!(difference, 0.0);
}

#[test]
fn a_picture_that_does_not_divide_into_patches_is_refused() {
    let model = Dinov2Model::load(goldens().join("dinov2/narrow"), &device()).unwrap();
    let error = model
        .forward(noise([1, 3, 42, 40]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "pictures of 40x42 pixels do not divide into patches of 4 pixels"
    );
}
