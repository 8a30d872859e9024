//! Label maps from token grids.

use glass_metrics::LabelMap;
use glass_trainer::eval::baselines::{blocks, kmeans};
use glass_trainer::eval::masks::{grid_to_labels, soft_to_labels, through_grid};
use glass_trainer::viz::{Ground, Sheet, colour, overlay};
use image::{Rgb, RgbImage};

#[test]
fn soft_masks_meet_halfway_between_token_centres() {
    // Two tokens a row, slot 0 left, slot 1 right: the border is the middle of eight pixels.
    let masks = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let map = soft_to_labels(&masks, 2, 2, 8);
    for row in map.labels().chunks(8) {
        assert_eq!(row, [0, 0, 0, 0, 1, 1, 1, 1]);
    }
}

#[test]
fn soft_masks_are_interpolated_as_torch_does_without_aligned_corners() {
    // [1, 0] brought to 4 pixels is [1, 0.75, 0.25, 0]; a second slot of 0.3 everywhere wins the last two.
    let masks = [1.0, 0.0, 1.0, 0.0, 0.3, 0.3, 0.3, 0.3];
    let map = soft_to_labels(&masks, 2, 2, 4);
    assert_eq!(&map.labels()[..4], [0, 0, 1, 1]);
}

#[test]
fn blocks_are_as_many_as_asked_for_and_nearly_equal() {
    for count in 1..=12 {
        let map = blocks(120, count);
        let labels = map.distinct();
        assert_eq!(labels, (0..count as u16).collect::<Vec<_>>());
    }
    let six = blocks(128, 6);
    let corner = |x: usize, y: usize| six.labels()[y * 128 + x];
    assert_eq!([corner(0, 0), corner(42, 0), corner(43, 0), corner(86, 63), corner(0, 64)], [0, 0, 1, 2, 3]);
}

#[test]
fn kmeans_separates_what_is_apart_and_repeats_itself() {
    let tokens: Vec<f32> = (0..40).flat_map(|i| [(i % 2) as f32 * 10.0 + (i as f32) * 0.01, 0.0]).collect();
    let labels = kmeans(&tokens, 2, 2, 7, "a");
    assert!(labels.chunks(2).all(|pair| pair == &labels[..2]) && labels[0] != labels[1]);
    assert_eq!(labels, kmeans(&tokens, 2, 2, 7, "a"));
    assert!(kmeans(&tokens[..2], 2, 5, 0, "fewer tokens than clusters").len() == 1);
}

#[test]
fn the_grid_sees_the_truth_at_token_centres() {
    let mut labels = vec![0; 64];
    labels[2 * 8 + 2] = 5; // centre of the first 4×4 token
    let seen = through_grid(&LabelMap::new(8, 8, labels).unwrap(), 2);
    assert_eq!(seen, grid_to_labels(&[5, 0, 0, 0], 2, 8));
}

#[test]
fn overlays_show_the_picture_through_clear_ground_only() {
    let picture = RgbImage::from_pixel(4, 4, Rgb([100, 100, 100]));
    let labels = [0; 16];
    assert_eq!(overlay(&picture, &labels, 4, 1.0, Ground::Clear), picture);
    assert_eq!(*overlay(&picture, &labels, 4, 1.0, Ground::Painted).get_pixel(1, 1), colour(0));
}

#[test]
fn a_sheet_has_a_cell_for_every_picture() {
    let mut sheet = Sheet::new(3, 10, 2);
    for _ in 0..4 {
        sheet.push(&RgbImage::new(20, 20));
    }
    assert_eq!(sheet.draw().dimensions(), (3 * 12 + 2, 2 * 12 + 2));
}
