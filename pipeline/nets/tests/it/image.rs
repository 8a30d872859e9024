use std::collections::BTreeMap;

use glass_nets::NetsError;
use glass_nets::image::{
    DecodeLimits, Filter, ImageProcessor, RgbImage, center_crop, decode, decode_within, resize,
    resize_bilinear_half_pixel,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::{assets, goldens, tensors};

/// The picture that the reference script calls `pattern`.
fn pattern(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let index = u64::from((y * width + x) * 3);
        let value = |c: u32| {
            let hash = ((index + u64::from(c)) * 2_654_435_761 % (1 << 32)) >> 26;
            ((x * 3 + y * 2 * (c + 1)) + hash as u32 + 128 * ((x / 7 + y / 5) % 2)) as u8
        };
        [value(0), value(1), value(2)].into()
    })
}

#[derive(Deserialize)]
struct Resized {
    source: (u32, u32),
    target: (u32, u32),
    filter: u64,
    sha256: String,
}

#[test]
fn resizing_gives_the_pixels_of_pillow() {
    let text = std::fs::read_to_string(goldens().join("image/resize.json")).unwrap();
    let cases: Vec<Resized> = serde_json::from_str(&text).unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| {
            let filter = Filter::from_number(case.filter).unwrap();
            let resized = resize(&pattern(case.source.0, case.source.1), case.target.0, case.target.1, filter).unwrap();
            hex::encode(Sha256::digest(resized.as_raw())) != case.sha256
        })
        .map(|case| format!("{:?} to {:?} with filter {}", case.source, case.target, case.filter))
        .collect();
    println!("resize | {} of {} pixel-equal to Pillow", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn processing_gives_the_values_of_transformers() {
    let text = std::fs::read_to_string(goldens().join("image/processed.json")).unwrap();
    let digests: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    for (name, digest) in digests {
        let processor = ImageProcessor::load(assets().join("mini").join(&name)).unwrap();
        let values = processor.values(&pattern(97, 61)).unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(hex::encode(Sha256::digest(bytes)), digest, "{name}");
    }
}

#[test]
fn every_colour_type_decodes_as_in_pillow() {
    let golden = tensors(goldens().join("image"), "decoded");
    let names: Vec<String> = golden.names().map(str::to_owned).collect();
    for name in names {
        let picture = decode(&std::fs::read(goldens().join("image").join(&name)).unwrap()).unwrap();
        let expected = golden.bytes(&name).unwrap();
        assert_eq!(picture.dimensions(), (24, 20), "{name}");
        let largest = picture.as_raw().iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        println!("decode | {name} | largest difference {largest}");
        // Lossy formats allow their decoders a step of rounding, and more where colour is subsampled.
        let allowed = match name.as_str() {
            "subsampled.jpg" | "progressive.jpg" | "lossy.webp" | "cmyk.jpg" => 4,
            name if name.ends_with(".jpg") => 2,
            _ => 0,
        };
        assert!(largest <= allowed, "{name}: {largest}");
    }
}

#[test]
fn a_scene_decodes_to_the_pixels_of_pillow_but_for_rounding() {
    let golden = tensors(goldens().join("dinov2"), "mini");
    let picture = decode(&std::fs::read(assets().join("scenes/val/00000.jpg")).unwrap()).unwrap();
    let expected = golden.bytes("scene-bytes").unwrap();
    let differences = || picture.as_raw().iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let different = differences().filter(|difference| *difference > 0).count();
    println!(
        "decode | scene | {different} of {} values differ, by at most {}",
        expected.len(),
        differences().max().unwrap()
    );
    // The decoders' inverse transforms round differently; Pillow uses libjpeg-turbo's.
    assert!(differences().max().unwrap() <= 2 && different * 50 < expected.len());
}

#[test]
fn what_is_no_picture_is_refused_with_its_reason() {
    let message = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "not a usable picture: the file is empty");
    assert_eq!(message(b"just text"), "not a usable picture: the file is neither JPEG, PNG nor WebP");
    assert_eq!(message(b"GIF89a\x01\x00\x01\x00"), "not a usable picture: the file is neither JPEG, PNG nor WebP");
    for name in ["rgb.png", "rgb.jpg", "progressive.jpg", "lossless.webp", "lossy.webp", "cmyk.jpg"] {
        let bytes = std::fs::read(goldens().join("image").join(name)).unwrap();
        for keep in [bytes.len() / 10, bytes.len() / 2, bytes.len() * 9 / 10] {
            assert!(matches!(decode(&bytes[..keep]), Err(NetsError::Image { .. })), "{name} cut to {keep} bytes");
        }
    }
}

/// A PNG that claims to be very wide and holds nothing.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(&chunk);
    bytes.extend(crc32(&chunk).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn an_absurd_size_is_refused_before_memory_is_taken() {
    let error = decode(&png_header(20_000, 10)).unwrap_err();
    assert_eq!(error.to_string(), "picture of 20000x10 pixels is larger than the limit: 16384 pixels a side");
    assert!(error.hint().is_some());
    assert!(matches!(decode(&png_header(16_000, 16_000)), Err(NetsError::ImageTooLarge { .. })));
    let limits = DecodeLimits { max_side: 23, ..Default::default() };
    let bytes = std::fs::read(goldens().join("image/rgb.png")).unwrap();
    assert!(matches!(decode_within(&bytes, limits), Err(NetsError::ImageTooLarge { .. })));
}

#[test]
fn a_picture_of_one_pixel_can_be_processed() {
    let processor = ImageProcessor::load(assets().join("mini/dinov2")).unwrap();
    let values = processor.values(&RgbImage::from_pixel(1, 1, [255, 0, 0].into())).unwrap();
    assert_eq!(values.len(), 3 * 128 * 128);
    // A very thin picture would grow beyond all measure on its way to the shortest edge.
    let error = processor.values(&RgbImage::new(1, 10_000)).unwrap_err();
    assert_eq!(error.to_string(), "cannot resize a picture to 128x1280000 pixels");
}

#[test]
fn cropping_takes_the_middle_and_pads_what_is_missing() {
    let picture = RgbImage::from_fn(5, 1, |x, _| [x as u8 + 1; 3].into());
    let row = |picture: RgbImage| picture.pixels().map(|pixel| pixel.0[0]).collect::<Vec<_>>();
    assert_eq!(row(center_crop(&picture, 2, 1)), [2, 3]);
    assert_eq!(row(center_crop(&picture, 3, 1)), [2, 3, 4]);
    assert_eq!(row(center_crop(&picture, 8, 1)), [0, 0, 1, 2, 3, 4, 5, 0]);
}

#[test]
fn half_pixel_resampling_keeps_flat_areas_and_does_not_smooth() {
    let flat = RgbImage::from_pixel(7, 5, [9, 100, 250].into());
    assert!(resize_bilinear_half_pixel(&flat, 31, 2).pixels().all(|pixel| pixel.0 == [9, 100, 250]));
    let stripes = RgbImage::from_fn(8, 1, |x, _| [if x % 4 == 0 { 200 } else { 0 }; 3].into());
    let halved = resize_bilinear_half_pixel(&stripes, 4, 1);
    assert_eq!(halved.pixels().map(|pixel| pixel.0[0]).collect::<Vec<_>>(), [100, 0, 100, 0]);
}
