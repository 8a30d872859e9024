//! `[captioner]`: images → captions and classes.

use serde::{Deserialize, Serialize};

use super::Precision;

/// Where the classes of a prompt come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassSource {
    /// The nouns of the caption.
    #[default]
    Caption,
    /// The image-level labels of `source.ground_truth`.
    GroundTruth,
}

impl ClassSource {
    /// As it stands in the spec and in the data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caption => "caption",
            Self::GroundTruth => "ground-truth",
        }
    }
}

/// What becomes of an image in which no class is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutClass {
    /// It is quarantined: nothing could be masked (Dataset-Diffusion drops it too).
    #[default]
    Quarantine,
    /// It is passed on with no class; the generator draws it, the mask is all ground.
    Pass,
}

/// The captioner's constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionerSpec {
    /// Folder of a BLIP-2 checkpoint.
    pub weights: String,
    /// What the networks compute in.
    pub precision: Precision,
    /// Text the caption continues; empty for none.
    pub text: String,
    /// Beams; 1 is greedy.
    pub num_beams: usize,
    /// Longest caption, in tokens.
    pub max_new_tokens: usize,
    /// Exponent of the length in a beam's score.
    pub length_penalty: f32,
    /// Divides the logit of a token that already occurred; 1 is off.
    pub repetition_penalty: f32,
    /// `voc`, `coco`, `scenes`, or a TOML file of classes.
    pub vocabulary: String,
    /// Where classes come from.
    pub class_source: ClassSource,
    /// Whether a noun outside the vocabulary becomes a class of its own, numbered per image.
    pub open_vocabulary: bool,
    /// What becomes of an image without a class.
    pub without_class: WithoutClass,
}

impl Default for CaptionerSpec {
    fn default() -> Self {
        Self {
            weights: String::new(),
            text: String::new(),
            precision: Precision::default(),
            num_beams: 1,
            max_new_tokens: 30,
            length_penalty: 1.0,
            repetition_penalty: 1.0,
            vocabulary: "coco".to_owned(),
            class_source: ClassSource::default(),
            open_vocabulary: false,
            without_class: WithoutClass::default(),
        }
    }
}
