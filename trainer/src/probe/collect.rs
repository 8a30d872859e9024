//! Slots of all annotated objects, picture by picture.

use glass_metrics::{Crowds, Overlaps, Protocol, Sampling, TruthLabels, VoidPixels};

use super::matching::matched;
use crate::eval::EvalError;
use crate::eval::annotations::Picture;
use crate::generate::scene::{Scene, SceneReader};

/// Objects with their slots and properties.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    /// Width of a slot.
    pub slot_size: usize,
    /// `[objects, slot_size]`
    pub slots: Vec<f32>,
    /// Class of every object, from 1.
    pub classes: Vec<u16>,
    /// Centre, width and height as shares of the picture, `[objects, 4]`.
    pub boxes: Vec<[f32; 4]>,
    /// Objects seen, with or without a slot.
    pub seen: usize,
}

impl Objects {
    /// Reads batches of pictures; `progress` hears how many there were and may break off.
    ///
    /// # Errors
    /// The first picture or annotation that cannot be used, and [`EvalError::Interrupted`].
    pub fn collect(
        reader: &SceneReader<'_>,
        batch: usize,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Self, EvalError> {
        let mut objects = Self::default();
        let protocol = plain(reader.protocol);
        for pictures in reader.data.pictures().chunks(batch.max(1)) {
            let scenes = reader.read(&pictures.iter().collect::<Vec<_>>())?;
            for (picture, scene) in pictures.iter().zip(scenes) {
                objects.add(reader, &protocol, picture, scene)?;
            }
            if !progress(pictures.len()) {
                return Err(EvalError::Interrupted);
            }
        }
        Ok(objects)
    }

    /// Objects with a slot.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    fn add(
        &mut self,
        reader: &SceneReader<'_>,
        protocol: &Protocol,
        picture: &Picture,
        scene: Scene,
    ) -> Result<(), EvalError> {
        let side = protocol.input_size as usize;
        let sampling = Sampling::square(protocol, picture.width, picture.height, side);
        let Some(truth) = reader.data.annotations().truth(picture, protocol, &sampling)? else { return Ok(()) };
        let [count, size] = scene.raw.dims();
        let slots: Vec<f32> = scene
            .raw
            .into_data()
            .convert::<f32>()
            .try_to_vec()
            .map_err(|error| EvalError::Shape(format!("{error:?}")))?;
        self.slot_size = size;
        self.seen += truth.instances.distinct().iter().filter(|&&label| label != glass_metrics::BACKGROUND).count();
        for object in matched(&truth.instances, &truth.semantics, &scene.masks, count)? {
            self.slots.extend_from_slice(&slots[object.slot * size..][..size]);
            self.classes.push(object.class);
            self.boxes.push(object.bounds);
        }
        Ok(())
    }
}

/// How pictures are seen is the protocol's; what an object is, is not: labels stay those of the annotations, crowds and
/// undecided pixels are no objects, and no pixel is left out.
fn plain(protocol: &Protocol) -> Protocol {
    Protocol {
        labels: TruthLabels::Keep,
        crowds: Crowds::Skip,
        overlaps: Overlaps::Keep,
        void: VoidPixels::Background,
        ..protocol.clone()
    }
}
