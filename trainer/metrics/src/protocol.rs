//! The rules of an evaluation, as data.

use serde::{Deserialize, Serialize};

use crate::{Nearest, Objects, PlacementRule};

/// Which map of the model is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskSource {
    /// Attention of the last slot-attention iteration.
    SlotAttention,
    /// Alpha masks or cross-attention of the decoder.
    Decoder,
}

/// How the picture that the encoder sees is resized; ground truth follows [`Nearest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resampling {
    /// Half-pixel bilinear without antialiasing (OpenCV `INTER_LINEAR`).
    Bilinear,
    /// Bilinear with antialiasing (Pillow).
    BilinearAntialiased,
    /// Bicubic with antialiasing (Pillow).
    BicubicAntialiased,
}

/// Whether background is one of the objects of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackgroundRule {
    /// Background is an object like any other.
    Object,
    /// Background is not an object; its pixels still enlarge the union of segments that cover them.
    Excluded,
}

impl From<BackgroundRule> for Objects {
    fn from(rule: BackgroundRule) -> Self {
        match rule {
            BackgroundRule::Object => Self::WithBackground,
            BackgroundRule::Excluded => Self::WithoutBackground,
        }
    }
}

/// Background, metric by metric. FG-ARI never looks at it, ARI always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backgrounds {
    /// mIoU.
    pub miou: BackgroundRule,
    /// mBO.
    pub mbo: BackgroundRule,
    /// Object recovery.
    pub recovery: BackgroundRule,
    /// CorLoc.
    pub corloc: BackgroundRule,
}

impl Backgrounds {
    /// The same rule for every metric.
    pub fn all(rule: BackgroundRule) -> Self {
        Self { miou: rule, mbo: rule, recovery: rule, corloc: rule }
    }
}

/// Which of two overlapping annotations a pixel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaintOrder {
    /// The one listed first.
    FirstWins,
    /// The one listed last.
    LaterWins,
    /// The one of the higher class, the first of one class (OCLF takes the maximum over classes).
    HighestClassWins,
}

/// What happens to pixels under two or more annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlaps {
    /// Nothing: the paint order decides.
    Keep,
    /// They are left out of all metrics.
    Ignore,
    /// They are left out of instance metrics only.
    IgnoreInstances,
    /// They become background in the ground truth and one more segment in the prediction.
    OwnSegment,
}

/// What happens to crowd regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crowds {
    /// The annotation is left out: its pixels are background.
    Skip,
    /// It is an object like any other.
    Include,
    /// Pictures with a crowd region are left out.
    DropPicture,
}

/// What happens to pixels that the annotators left undecided (255 in Pascal VOC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoidPixels {
    /// They become background.
    Background,
    /// They are left out of all metrics.
    Ignore,
    /// They become background in the ground truth and one more segment in the prediction.
    OwnSegment,
}

/// What the labels of a picture are when it is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TruthLabels {
    /// As annotated: 0 is background and nothing else is.
    Keep,
    /// Renumbered from 0 in ascending order: where no pixel is background, the first object becomes
    /// it.
    Contiguous,
}

/// Whether labels below the highest one that no pixel carries count as objects with IoU 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyLabels {
    /// They do not.
    Skip,
    /// They do, as a one-hot encoding without clean-up has it.
    Count,
}

/// The rules under which masks become numbers; its `id` is printed beside each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Short name.
    pub id: String,
    /// Where the rules come from.
    #[serde(default)]
    pub description: String,
    /// Side of the picture that the encoder sees, pixels.
    pub input_size: u32,
    /// How that picture is resized.
    pub resampling: Resampling,
    /// Side of the masks that are compared, pixels.
    pub mask_size: u32,
    /// How ground truth is resized to it.
    pub nearest: Nearest,
    /// How the resized sides are rounded and the square is placed, pictures and masks alike.
    #[serde(default)]
    pub placement: PlacementRule,
    /// Which map of the model is scored.
    pub mask_source: MaskSource,
    /// Which of two overlapping annotations wins.
    pub paint: PaintOrder,
    /// Pixels under two annotations.
    pub overlaps: Overlaps,
    /// Crowd regions.
    pub crowds: Crowds,
    /// Undecided pixels of label maps.
    pub void: VoidPixels,
    /// Labels of the ground truth.
    pub labels: TruthLabels,
    /// Labels without a pixel.
    pub empty_labels: EmptyLabels,
    /// Background as an object.
    pub background: Backgrounds,
}

impl Protocol {
    /// Ids of the protocols that are shipped.
    pub const SHIPPED: [&'static str; 4] = ["glass-release", "spot", "oclf", "slotdiffusion"];

    /// A shipped protocol by its id.
    pub fn shipped(id: &str) -> Option<Self> {
        match id {
            "glass-release" => Some(Self::glass_release()),
            "spot" => Some(Self::spot()),
            "oclf" => Some(Self::oclf()),
            "slotdiffusion" => Some(Self::slotdiffusion()),
            _ => None,
        }
    }

    /// What the released evaluation code of GLASS computes: background is an object of every
    /// overlap metric.
    pub fn glass_release() -> Self {
        Self {
            id: "glass-release".into(),
            description: "evaluation code released with GLASS: background counts as an object".into(),
            input_size: 448,
            resampling: Resampling::Bilinear,
            mask_size: 256,
            nearest: Nearest::Corner,
            placement: PlacementRule::Rounded,
            mask_source: MaskSource::SlotAttention,
            paint: PaintOrder::LaterWins,
            overlaps: Overlaps::Keep,
            crowds: Crowds::Skip,
            void: VoidPixels::Background,
            labels: TruthLabels::Contiguous,
            empty_labels: EmptyLabels::Skip,
            background: Backgrounds::all(BackgroundRule::Object),
        }
    }

    /// SPOT's evaluation, which follows DINOSAUR's: no background, overlaps ignored, crowds kept.
    pub fn spot() -> Self {
        Self {
            id: "spot".into(),
            description: "SPOT: decoder masks at 320, background excluded, overlapping pixels ignored".into(),
            input_size: 224,
            resampling: Resampling::BilinearAntialiased,
            mask_size: 320,
            nearest: Nearest::Centre,
            placement: PlacementRule::Truncated,
            mask_source: MaskSource::Decoder,
            paint: PaintOrder::FirstWins,
            overlaps: Overlaps::Ignore,
            crowds: Crowds::Include,
            void: VoidPixels::Background,
            labels: TruthLabels::Keep,
            empty_labels: EmptyLabels::Skip,
            background: Backgrounds::all(BackgroundRule::Excluded),
        }
    }

    /// DINOSAUR in the Object-Centric Learning Framework.
    pub fn oclf() -> Self {
        Self {
            id: "oclf".into(),
            description: "DINOSAUR in OCLF: background excluded, overlaps ignored for instances, crowds left out"
                .into(),
            resampling: Resampling::BicubicAntialiased,
            nearest: Nearest::CentreSingle,
            paint: PaintOrder::HighestClassWins,
            overlaps: Overlaps::IgnoreInstances,
            crowds: Crowds::Skip,
            void: VoidPixels::Ignore,
            ..Self::spot()
        }
    }

    /// SlotDiffusion's functions (also in CODA): mIoU with background, mBO without.
    pub fn slotdiffusion() -> Self {
        Self {
            id: "slotdiffusion".into(),
            description: "SlotDiffusion: mIoU with background, mBO without, overlaps a segment of their own".into(),
            input_size: 224,
            resampling: Resampling::Bilinear,
            mask_size: 224,
            nearest: Nearest::Corner,
            placement: PlacementRule::Rounded,
            mask_source: MaskSource::Decoder,
            paint: PaintOrder::LaterWins,
            overlaps: Overlaps::OwnSegment,
            crowds: Crowds::Skip,
            void: VoidPixels::OwnSegment,
            // Its data transforms number each mask's labels anew.
            labels: TruthLabels::Contiguous,
            empty_labels: EmptyLabels::Count,
            background: Backgrounds {
                miou: BackgroundRule::Object,
                mbo: BackgroundRule::Excluded,
                recovery: BackgroundRule::Excluded,
                corloc: BackgroundRule::Excluded,
            },
        }
    }
}
