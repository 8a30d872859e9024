use image::Rgb;

/// Colours of labels 0, 1, 2 …: neighbours in the table differ in hue and in lightness, so that they can be told apart
/// on a picture and in print.
pub const COLOURS: [[u8; 3]; 24] = [
    [70, 78, 96],
    [230, 60, 72],
    [60, 180, 75],
    [255, 213, 25],
    [67, 99, 216],
    [245, 130, 49],
    [145, 30, 180],
    [70, 212, 230],
    [240, 50, 230],
    [170, 224, 60],
    [250, 170, 200],
    [0, 128, 128],
    [205, 170, 255],
    [154, 99, 36],
    [255, 245, 190],
    [128, 0, 32],
    [140, 240, 185],
    [128, 128, 0],
    [255, 205, 165],
    [20, 30, 120],
    [160, 160, 160],
    [220, 100, 140],
    [30, 90, 50],
    [110, 170, 250],
];

/// Label of undecided pixels in pseudo-masks.
const UNCERTAIN: u16 = 255;

/// Colour of a label; the table repeats after its last entry, and undecided pixels (255) are white.
pub fn colour(label: u16) -> Rgb<u8> {
    if label == UNCERTAIN {
        return Rgb([255; 3]);
    }
    Rgb(COLOURS[usize::from(label) % COLOURS.len()])
}
