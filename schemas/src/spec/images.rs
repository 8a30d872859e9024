//! Annotated images: in which published format they come, and where they lie.

use serde::{Deserialize, Serialize};

/// How pictures and their annotations are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnnotationFormat {
    /// A folder of pictures and an `instances_*.json` (polygons, both forms of run lengths, crowds).
    #[default]
    Coco,
    /// COCO's file with boxes only; a box is painted as a mask.
    Objects365,
    /// Pascal VOC 2012 as it is unpacked, with SBD's release beside it for `trainaug`.
    Voc,
    /// CLEVRTex: a picture and its `_flat.png` side by side; the centre square of 0.8 of the height.
    Clevrtex,
    /// A folder of pictures and a folder of PNG label maps of the same names.
    LabelMaps,
    /// Parquet with image columns, as the Hugging Face hub holds it.
    Parquet,
    /// Generated images and their pseudo-masks in a store of ours.
    Generated,
    /// Pictures without annotations: to be trained on, not to be scored.
    Pictures,
}

impl AnnotationFormat {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Coco,
        Self::Objects365,
        Self::Voc,
        Self::Clevrtex,
        Self::LabelMaps,
        Self::Parquet,
        Self::Generated,
        Self::Pictures,
    ];

    /// As it stands in the spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Objects365 => "objects365",
            Self::Voc => "voc",
            Self::Clevrtex => "clevrtex",
            Self::LabelMaps => "label-maps",
            Self::Parquet => "parquet",
            Self::Generated => "generated",
            Self::Pictures => "pictures",
        }
    }
}

/// What becomes of pictures in which nothing is annotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyPictures {
    /// They stay (every published evaluation).
    #[default]
    Keep,
    /// They are left out, crowds not counted (training sets of the GLASS and SlotDiffusion code).
    Drop,
}

/// One set of annotated images. What a format does not need is not looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImagesSpec {
    /// How it is laid out.
    pub format: AnnotationFormat,
    /// Folder of the pictures, or a URI such as `s3://bucket/val2017`. `voc`, `clevrtex`: the folder that was
    /// unpacked. `parquet`: the folder of the tables. `generated`: the store.
    pub uri: String,
    /// `coco`, `objects365`: the annotation file. `voc`: SBD's folder, where `split` needs it. `label-maps`: folder
    /// of the instance maps. `generated`: id of the masks dataset.
    pub annotations: String,
    /// `label-maps`: folder of the class maps, where there are some.
    pub classes: String,
    /// `voc`: name of an image list, or `trainaug`. `clevrtex`: `train`, `val`, `test` or `all`.
    /// `parquet`: beginning of the names of the tables.
    pub split: String,
    /// `parquet`: column of the pictures (binary, or a struct with `bytes`).
    pub image_column: String,
    /// `parquet`: column of the instance maps.
    pub instance_column: String,
    /// `parquet`: column of the class maps.
    pub class_column: String,
    /// `label-maps`, `parquet`: label of undecided pixels.
    pub void: Option<u16>,
    /// What becomes of pictures in which nothing is annotated.
    pub empty: EmptyPictures,
    /// Only the first so many pictures.
    pub limit: Option<u64>,
}

impl Default for ImagesSpec {
    fn default() -> Self {
        Self {
            format: AnnotationFormat::Coco,
            uri: String::new(),
            annotations: String::new(),
            classes: String::new(),
            split: String::new(),
            image_column: "image".into(),
            instance_column: "mask".into(),
            class_column: String::new(),
            void: None,
            empty: EmptyPictures::Keep,
            limit: None,
        }
    }
}

impl ImagesSpec {
    /// The same set without the places it lies in: those are no part of what it is.
    #[must_use]
    pub fn without_places(&self) -> Self {
        let nowhere = String::new;
        Self { uri: nowhere(), annotations: nowhere(), classes: nowhere(), ..self.clone() }
    }
}
