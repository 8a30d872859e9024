//! From annotations to the two ground-truth maps of a picture.

use crate::{
    Annotation, BACKGROUND, Crowds, IGNORE, LabelMap, MetricsError, OVERLAP, Overlaps, PaintOrder, Protocol,
    RegionKind, Sampling, TruthLabels, VoidPixels,
};

/// The two ground truths of a picture: which object, and which class, each pixel belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundTruth {
    /// Label = place in the annotation list, from 1, unless the protocol renumbers.
    pub instances: LabelMap,
    /// Label = class, unless the protocol renumbers.
    pub semantics: LabelMap,
}

impl GroundTruth {
    /// Paints the sampled pixels of annotations under the rules of `protocol`; `None` where they
    /// leave the picture out.
    pub fn paint(
        protocol: &Protocol,
        sampling: &Sampling,
        annotations: &[Annotation],
    ) -> Result<Option<Self>, MetricsError> {
        let crowded = annotations.iter().any(|annotation| annotation.kind == RegionKind::Crowd);
        if crowded && protocol.crowds == Crowds::DropPicture {
            return Ok(None);
        }
        let (width, height) = sampling.size();
        let mut instances = vec![BACKGROUND; width * height];
        let mut semantics = instances.clone();
        let mut covered = vec![0_u8; width * height];
        for (index, annotation) in annotations.iter().enumerate() {
            if annotation.kind == RegionKind::Crowd && protocol.crowds != Crowds::Include {
                continue;
            }
            if annotation.mask.size() != sampling.source() {
                return Err(MetricsError::Size {
                    what: "annotation mask",
                    expected: sampling.source(),
                    found: annotation.mask.size(),
                });
            }
            let instance = label_of(index as u32 + 1)?;
            let category = label_of(u32::from(annotation.category))?;
            let bits = annotation.mask.bits();
            for (at, _) in sampling.places().enumerate().filter(|(_, place)| bits[*place]) {
                let wins = match protocol.paint {
                    PaintOrder::FirstWins => covered[at] == 0,
                    PaintOrder::LaterWins => true,
                    PaintOrder::HighestClassWins => category > semantics[at],
                };
                if wins {
                    instances[at] = instance;
                    semantics[at] = category;
                }
                covered[at] = covered[at].saturating_add(1);
            }
        }
        let (instance, class) = match protocol.overlaps {
            Overlaps::Keep => (None, None),
            Overlaps::Ignore => (Some(IGNORE), Some(IGNORE)),
            Overlaps::IgnoreInstances => (Some(IGNORE), None),
            Overlaps::OwnSegment => (Some(OVERLAP), Some(OVERLAP)),
        };
        let shared = |at: usize| covered[at] > 1;
        Ok(Some(Self {
            instances: number(protocol, LabelMap::new(width, height, instances)?, shared, instance),
            semantics: number(protocol, LabelMap::new(width, height, semantics)?, shared, class),
        }))
    }

    /// From label maps in which `void` marks undecided pixels (Pascal VOC's 255), under the rules
    /// of `protocol`. A pixel undecided in one map is undecided in both, as instance and class
    /// borders coincide; where undecided pixels are background, each map decides for itself.
    pub fn from_label_maps(
        protocol: &Protocol,
        sampling: &Sampling,
        instances: &LabelMap,
        semantics: &LabelMap,
        void: u16,
    ) -> Result<Self, MetricsError> {
        let (mut instances, mut semantics) = (instances.sample(sampling)?, semantics.sample(sampling)?);
        let mark = match protocol.void {
            VoidPixels::Background => None,
            VoidPixels::Ignore => Some(IGNORE),
            VoidPixels::OwnSegment => Some(OVERLAP),
        };
        let mut undecided = Vec::with_capacity(instances.labels().len());
        for (instance, class) in instances.labels_mut().iter_mut().zip(semantics.labels_mut()) {
            let either = *instance == void || *class == void;
            for label in [instance, class] {
                if *label == void || (either && mark.is_some()) {
                    *label = BACKGROUND;
                }
            }
            undecided.push(either);
        }
        let left = |at: usize| undecided[at];
        Ok(Self {
            instances: number(protocol, instances, left, mark),
            semantics: number(protocol, semantics, left, mark),
        })
    }
}

fn label_of(label: u32) -> Result<u16, MetricsError> {
    match u16::try_from(label) {
        Ok(small) if small < OVERLAP => Ok(small),
        _ => Err(MetricsError::ReservedLabel { label, limit: OVERLAP - 1 }),
    }
}

/// Renumbers where the protocol asks for it, then marks pixels: SlotDiffusion numbers the objects
/// before it takes the shared pixels from them, so that an object without pixels of its own keeps
/// its number and counts.
fn number(protocol: &Protocol, painted: LabelMap, marked: impl Fn(usize) -> bool, mark: Option<u16>) -> LabelMap {
    let mut map = match protocol.labels {
        TruthLabels::Keep => painted,
        TruthLabels::Contiguous => painted.contiguous(),
    };
    if let Some(mark) = mark {
        for (_, label) in map.labels_mut().iter_mut().enumerate().filter(|(at, _)| marked(*at)) {
            *label = mark;
        }
    }
    map
}
