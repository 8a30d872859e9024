use glass_schemas::spec::evaluation::{Baseline, EvaluationSpec, MaskSource};
use serde::{Serialize, Serializer};

/// One way to segment a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Trained slots, masks from this source.
    Slots(MaskSource),
    /// A method without training.
    Baseline(Baseline),
    /// Masks made elsewhere, each value a segment.
    Given,
    /// Class masks made elsewhere, each connected part of a class a segment.
    GivenParts,
}

impl Method {
    /// The methods that a spec asks for; trained slots only where there are some.
    pub fn asked(spec: &EvaluationSpec, trained: Trained) -> Vec<Self> {
        let slots = spec.masks.iter().copied().map(Self::Slots).filter(|_| trained == Trained::Yes);
        slots.chain(spec.baselines.iter().copied().map(Self::Baseline)).collect()
    }

    /// Name in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slots(MaskSource::SlotAttention) => "slots, attention masks",
            Self::Slots(MaskSource::Decoder) => "slots, decoder masks",
            Self::Slots(MaskSource::DecoderEnsemble) => "slots, decoder masks of all orders",
            Self::Baseline(Baseline::Blocks) => "blocks",
            Self::Baseline(Baseline::KMeans) => "k-means",
            Self::Baseline(Baseline::Untrained) => "untrained slots",
            Self::Baseline(Baseline::Ceiling) => "truth on the token grid",
            Self::Given => "given masks",
            Self::GivenParts => "connected parts of given masks",
        }
    }

    /// The seeds it is run with: a method that draws nothing is run once.
    pub fn seeds(self, seeds: &[u64]) -> &[u64] {
        match self {
            Self::Baseline(Baseline::Blocks | Baseline::Ceiling) => &seeds[..seeds.len().min(1)],
            _ => seeds,
        }
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether a checkpoint is evaluated or only the methods beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trained {
    /// A checkpoint is there.
    Yes,
    /// There is none.
    No,
}
