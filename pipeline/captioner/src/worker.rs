//! The captioning network at work.

use std::sync::Arc;

use burn::tensor::Device;
use glass_nets::Captioner;
use glass_nets::generate::GenerateOptions;
use glass_nets::image::ImageProcessor;
use glass_schemas::dataset::{CaptionRow, ClassLabel};
use glass_schemas::ids::{Digest, SampleId};
use glass_schemas::spec::{CaptionerSpec, ClassSource, WithoutClass};
use glass_stage::{ErrorClass, Failure, Worker};
use image::RgbImage;

use crate::classes::prompt;
use crate::degenerate::flags;
use crate::ground_truth::GroundTruth;
use crate::open_vocabulary::open_classes;
use crate::vocabulary::Vocabulary;

/// A real image, resized as the captioner sees it.
pub struct Picture {
    /// Its name.
    pub sample_id: SampleId,
    /// Where it was read.
    pub uri: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Width before the resize.
    pub width: u32,
    /// Height before the resize.
    pub height: u32,
    /// The pixels, resized and cropped.
    pub pixels: RgbImage,
}

/// How captions become classes.
pub struct Labeller {
    /// The classes that count.
    pub vocabulary: Vocabulary,
    /// Image-level labels, for `class_source = "ground-truth"`.
    pub ground_truth: GroundTruth,
    /// The captioner's constants.
    pub spec: CaptionerSpec,
}

/// Captions batches of pictures.
pub struct CaptionWorker {
    model: Captioner,
    processor: ImageProcessor,
    options: GenerateOptions,
    labeller: Arc<Labeller>,
    device: Device,
}

impl CaptionWorker {
    /// Loads the checkpoint of the spec.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, by file and tensor.
    pub fn load(labeller: Arc<Labeller>, processor: ImageProcessor, device: Device) -> anyhow::Result<Self> {
        let spec = &labeller.spec;
        // The source has fitted the pictures already.
        let processor = processor.fitted();
        let model = Captioner::load(&spec.weights, &device)?;
        let options = GenerateOptions {
            num_beams: spec.num_beams,
            max_new_tokens: spec.max_new_tokens,
            length_penalty: spec.length_penalty,
            repetition_penalty: spec.repetition_penalty,
            prompt: spec.text.clone(),
            ..GenerateOptions::default()
        };
        Ok(Self { model, processor, options, labeller, device })
    }

    fn captions(&self, batch: &[Picture]) -> Result<Vec<String>, glass_nets::NetsError> {
        let pictures: Vec<RgbImage> = batch.iter().map(|p| p.pixels.clone()).collect();
        let pixels = self.processor.batch(&pictures, &self.device)?;
        self.model.caption(pixels, &self.options)
    }
}

impl Worker for CaptionWorker {
    type Item = Picture;
    type Output = CaptionRow;

    fn process(&mut self, batch: Vec<Picture>) -> Vec<Result<CaptionRow, Failure>> {
        match self.captions(&batch) {
            Ok(captions) => {
                let rows = batch.into_iter().zip(captions);
                rows.map(|(picture, caption)| self.labeller.row(picture, &caption)).collect()
            }
            Err(error) => {
                let failed = batch.iter().map(|picture| {
                    let failure = Failure::new(&picture.uri, ErrorClass::Failed, &error);
                    Err(failure.with_sample(picture.sample_id))
                });
                failed.collect()
            }
        }
    }
}

impl Labeller {
    fn classes(&self, uri: &str, caption: &str) -> Vec<ClassLabel> {
        match (self.spec.class_source, self.spec.open_vocabulary) {
            (ClassSource::GroundTruth, _) => self.ground_truth.classes_of(uri).to_vec(),
            (ClassSource::Caption, false) => self.vocabulary.classes_in(caption),
            (ClassSource::Caption, true) => open_classes(caption),
        }
    }

    /// The row of a captioned picture, or why it is put aside.
    ///
    /// # Errors
    /// A [`Failure`] of class `rejected` where no class is found and the spec says so.
    pub fn row(&self, picture: Picture, caption: &str) -> Result<CaptionRow, Failure> {
        let caption = caption.trim();
        let classes = self.classes(&picture.uri, caption);
        if classes.is_empty() && self.spec.without_class == WithoutClass::Quarantine {
            let message = format!("no class of the vocabulary in the caption `{caption}`");
            let failure = Failure::new(&picture.uri, ErrorClass::Rejected, message);
            return Err(failure.with_sample(picture.sample_id));
        }
        Ok(CaptionRow {
            sample_id: picture.sample_id,
            source_uri: picture.uri,
            source_digest: picture.digest,
            width: picture.width,
            height: picture.height,
            caption: caption.to_owned(),
            prompt: prompt(caption, &classes),
            classes,
            class_source: self.spec.class_source.as_str().to_owned(),
            flags: flags(caption),
        })
    }
}
