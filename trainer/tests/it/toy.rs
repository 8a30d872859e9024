//! Small data and small networks for the tests of evaluation and composition.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData, activation};
use glass_nets::NetsError;
use glass_trainer::eval::model::{DecoderOrders, Encoder, SlotModel, Slots};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Side of a toy picture and of a toy token in pixels.
pub const SIDE: u32 = 32;
pub const PATCH: usize = 4;

/// A folder of pictures with an annotation file, removed with the value.
pub struct Data {
    folder: TempDir,
    pub document: Value,
}

impl Data {
    /// `count` pictures of a red square (an object of class 1) and a blue one (class 2) on green ground, each elsewhere.
    pub fn new(count: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for index in 0..count {
            let (red, blue) = ([2 + index % 5, 3, 12, 12], [18, 16 + index % 3, 10, 10]);
            picture(red, blue).save(folder.path().join(format!("{index}.png"))).unwrap();
            images.push(json!({"id": index, "file_name": format!("{index}.png"), "width": SIDE, "height": SIDE}));
            for (category, square) in [(10, red), (20, blue)] {
                annotations.push(json!({
                    "id": annotations.len(), "image_id": index, "category_id": category, "iscrowd": 0,
                    "segmentation": {"size": [SIDE, SIDE], "counts": runs(square)},
                }));
            }
        }
        let categories = json!([{"id": 10, "name": "red"}, {"id": 20, "name": "blue"}]);
        let document = json!({"images": images, "annotations": annotations, "categories": categories});
        let data = Self { folder, document };
        data.save();
        data
    }

    /// Writes `document` as the annotation file.
    pub fn save(&self) {
        std::fs::write(self.instances(), self.document.to_string()).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn instances(&self) -> PathBuf {
        self.folder.path().join("instances.json")
    }
}

fn picture(red: [u32; 4], blue: [u32; 4]) -> RgbImage {
    let inside = |x, y, s: [u32; 4]| x >= s[0] && x < s[0] + s[2] && y >= s[1] && y < s[1] + s[3];
    RgbImage::from_fn(SIDE, SIDE, |x, y| match (inside(x, y, red), inside(x, y, blue)) {
        (true, _) => Rgb([250, 10, 10]),
        (_, true) => Rgb([10, 10, 250]),
        _ => Rgb([20, 160, 20]),
    })
}

/// Uncompressed runs of a square, column by column.
fn runs(square: [u32; 4]) -> Vec<u32> {
    let mut counts = vec![square[0] * SIDE + square[1]];
    for column in 0..square[2] {
        counts.push(square[3]);
        let last = column + 1 == square[2];
        counts.push(if last { SIDE * SIDE - counts.iter().sum::<u32>() } else { SIDE - square[3] });
    }
    counts
}

/// Tokens are mean colours.
pub struct MeanColour;

impl Encoder for MeanColour {
    fn features(&self, pictures: &[RgbImage]) -> Result<Tensor<3>, NetsError> {
        let grid = pictures[0].width() as usize / PATCH;
        let mut values = Vec::new();
        for picture in pictures {
            for token in 0..grid * grid {
                let (left, top) = (token % grid * PATCH, token / grid * PATCH);
                for channel in 0..3 {
                    let pixels = (0..PATCH * PATCH).map(|p| (left + p % PATCH, top + p / PATCH));
                    let sum: f32 =
                        pixels.map(|(x, y)| f32::from(picture.get_pixel(x as u32, y as u32).0[channel])).sum();
                    values.push(sum / (PATCH * PATCH) as f32 / 255.0);
                }
            }
        }
        let shape = [pictures.len(), grid * grid, 3];
        Ok(Tensor::from_data(TensorData::new(values, shape), &Device::flex()))
    }

    fn patch(&self) -> usize {
        PATCH
    }
}

/// One round of competition between random colours.
pub struct RandomColours;

impl SlotModel for RandomColours {
    fn trained_slots(&self) -> usize {
        3
    }

    fn noise_dim(&self) -> usize {
        3
    }

    fn attend(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots {
        let logits = noise.clone().matmul(features.clone().swap_dims(1, 2));
        let attention = activation::softmax(logits, 1);
        Slots { slots: noise.clone(), raw: noise, attention, target: features }
    }

    fn decoder_masks(&self, _: &Slots, _: DecoderOrders) -> Option<Tensor<3>> {
        None
    }
}
