//! Squares of pictures and maps against torchvision, Pillow and OpenCV (ci/reference/fixtures.py).

use glass_metrics::{LabelMap, Nearest, Placement, PlacementRule, Resampling, Sampling};
use glass_schemas::spec::trainer::{Crop, DataSpec, TrainingResampling};
use glass_trainer::data::annotated::PixelBox;
use glass_trainer::data::{Side, TrainingView, Visit};
use glass_trainer::eval::picture::View;
use image::{RgbImage, imageops};
use safetensors::SafeTensors;

const SIZE: u32 = 32;

struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        Self(std::fs::read(crate::formats::fixtures("views.safetensors")).unwrap())
    }

    fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    fn picture(&self, name: &str) -> RgbImage {
        let (shape, bytes) = self.bytes(name);
        RgbImage::from_raw(shape[1] as u32, shape[0] as u32, bytes).unwrap()
    }
}

fn visit(position: u64, side: Side) -> Visit {
    Visit { position, sample: 0, side }
}

fn view(crop: Crop, resampling: TrainingResampling) -> TrainingView {
    TrainingView::new(&DataSpec { crop, resampling, ..DataSpec::default() }, 3)
}

#[test]
fn training_squares_are_torchvisions_byte_for_byte() {
    let golden = Golden::open();
    for index in 0..4 {
        let picture = golden.picture(&format!("picture.{index}"));
        for (name, resampling) in [("bilinear", TrainingResampling::Bilinear), ("bicubic", TrainingResampling::Bicubic)]
        {
            let square = view(Crop::Centre, resampling).square(&visit(0, Side::Plain), &picture, SIZE).unwrap();
            assert_eq!(square, golden.picture(&format!("{name}.{index}")), "{name} {index}");
        }
    }
}

#[test]
fn evaluation_squares_are_opencvs_and_torchvisions_byte_for_byte() {
    let golden = Golden::open();
    for index in 0..4 {
        let picture = golden.picture(&format!("picture.{index}"));
        for (name, resampling, placement) in [
            ("opencv", Resampling::Bilinear, PlacementRule::Rounded),
            ("bilinear", Resampling::BilinearAntialiased, PlacementRule::Truncated),
            ("bicubic", Resampling::BicubicAntialiased, PlacementRule::Truncated),
        ] {
            let square = View { size: SIZE, resampling, placement }.square(&picture).unwrap();
            assert_eq!(square, golden.picture(&format!("{name}.{index}")), "{name} {index}");
        }
    }
}

#[test]
fn maps_are_sampled_as_opencv_and_pillow_sample_them() {
    let golden = Golden::open();
    for index in 0..4 {
        let picture = golden.picture(&format!("picture.{index}"));
        let size = (picture.width() as usize, picture.height() as usize);
        let labels = picture.pixels().map(|pixel| u16::from(pixel.0[0] / 32)).collect();
        let map = LabelMap::new(size.0, size.1, labels).unwrap();
        for (name, nearest, rule) in [
            ("opencv-nearest", Nearest::Corner, PlacementRule::Rounded),
            ("pillow-nearest", Nearest::Centre, PlacementRule::Truncated),
        ] {
            let place = Placement::of(size.0, size.1, SIZE as usize, rule);
            let sampled = map.sample(&Sampling::placed(&place, nearest, size, SIZE as usize)).unwrap();
            let expected: Vec<u16> = golden.bytes(&format!("{name}.{index}")).1.into_iter().map(u16::from).collect();
            assert_eq!(sampled.labels(), expected, "{name} {index}");
        }
        let training = view(Crop::Centre, TrainingResampling::Bilinear);
        let seen = map.sample(&training.sampling(&visit(0, Side::Plain), size, SIZE as usize)).unwrap();
        let expected: Vec<u16> =
            golden.bytes(&format!("pillow-nearest.{index}")).1.into_iter().map(u16::from).collect();
        assert_eq!(seen.labels(), expected);
    }
}

#[test]
fn random_squares_are_drawn_anew_at_every_visit_and_the_same_after_a_restart() {
    let view = view(Crop::Random, TrainingResampling::Bilinear);
    let place = |position| view.place(&visit(position, Side::Plain), (100, 50), SIZE as usize);
    let lefts: Vec<usize> = (0..200).map(|position| place(position).left).collect();
    // Resized to 64×32, the surplus is 32: every offset from 0 to 32 is as likely.
    assert!(lefts.iter().all(|left| *left <= 32) && lefts.contains(&0) && lefts.contains(&32));
    let again: Vec<usize> = (0..200).map(|position| place(position).left).collect();
    assert_eq!(lefts, again);
    assert!((0..200).all(|position| place(position).top == 0));
}

#[test]
fn a_mirrored_visit_sees_picture_map_and_boxes_mirrored() {
    let golden = Golden::open();
    let picture = golden.picture("picture.0");
    let view = view(Crop::Random, TrainingResampling::Bilinear);
    let plain = view.square(&visit(5, Side::Plain), &picture, SIZE).unwrap();
    let mirrored = view.square(&visit(5, Side::Mirrored), &picture, SIZE).unwrap();
    assert_eq!(mirrored, imageops::flip_horizontal(&plain));
    let boxes = [PixelBox { corners: [10.0, 5.0, 40.0, 30.0], class: 2 }];
    let [plain, mirrored] =
        [Side::Plain, Side::Mirrored].map(|side| view.boxes(&visit(5, side), &boxes, (75, 50), SIZE as usize)[0]);
    assert_eq!(plain.mirrored(), mirrored);
}

#[test]
fn boxes_are_clipped_to_the_square_and_none_is_dropped() {
    let view = view(Crop::Centre, TrainingResampling::Bilinear);
    // 128×64 becomes 64×32 and the middle 32 columns of it.
    let boxes = [[0.0, 0.0, 20.0, 64.0], [32.0, 16.0, 64.0, 48.0]].map(|corners| PixelBox { corners, class: 1 });
    let seen = view.boxes(&visit(0, Side::Plain), &boxes, (128, 64), SIZE as usize);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].corners, [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(seen[1].corners, [0.0, 0.25, 0.5, 0.75]);
}
