//! A pseudo-mask as one binary mask a label.

use glass_schemas::spec::trainer::Switch;

/// The label of pixels the extractor was not sure about.
pub const UNCERTAIN: u8 = 255;
/// The label of the ground.
pub const GROUND: u8 = 0;

/// The pixels of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The label.
    pub label: u8,
    /// How many pixels carry it.
    pub area: u32,
}

/// The labels present, in order; uncertain pixels belong to none, and the ground to its own or,
/// with `background` off, to none.
pub fn components(labels: &[u8], background: Switch) -> Vec<Component> {
    let mut areas = [0u32; 256];
    for &label in labels {
        areas[usize::from(label)] += 1;
    }
    let first = match background {
        Switch::On => GROUND,
        Switch::Off => GROUND + 1,
    };
    (first..UNCERTAIN)
        .filter_map(|label| {
            let area = areas[usize::from(label)];
            (area > 0).then_some(Component { label, area })
        })
        .collect()
}
