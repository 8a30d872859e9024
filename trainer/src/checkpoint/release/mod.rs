//! Checkpoints that others published, as networks of ours.
//!
//! | from | recognised by | says itself | taken from the run spec |
//! |---|---|---|---|
//! | GLASS, Latent Slot Diffusion | `multiheadstevesa/` with `config.json` | everything about slots, the UNet and UNet encoder that lie beside | encoder |
//! | SPOT | `slot_attn.slot_attention.…` in one file | sizes, start, decoder's blocks and orders | encoder, iterations, heads |
//! | DINOSAUR (OCLF) | `models.perceptual_grouping.…` in one file | sizes, decoder | encoder, slots, iterations |
//!
//! A layout is a renaming into the names of our own checkpoints (which are the first one's) and the spec that follows
//! from the tensors. Files are safetensors; nothing is ever unpickled.

mod dinosaur;
mod lsd;
mod spot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use glass_nets::Weights;
use glass_nets::weights::folder_digest;
use glass_schemas::ids::Digest;
use glass_schemas::spec::trainer::TrainerSpec;

use super::tensors::{Named, restore};
use crate::decoders::ImageDecoder;
use crate::encoders::TrainedEncoder;
use crate::error::{Result, TrainerError};
use crate::parts::{Layout, Origin, PartMapper};
use crate::phases::Networks;

/// Tensors of our parts, by the object that a checkpoint of ours keeps them in.
type Parts = BTreeMap<&'static str, Named>;

/// A published checkpoint that has been read but not yet turned into networks.
#[derive(Debug)]
pub struct Release {
    path: PathBuf,
    spec: TrainerSpec,
    feature_shape: [usize; 2],
    parts: Parts,
    digest: Digest,
    unet: Option<PathBuf>,
}

/// What a layout makes of a checkpoint.
struct Translated {
    /// The run spec with what the checkpoint says itself.
    spec: TrainerSpec,
    /// Tokens and width of the features.
    feature_shape: [usize; 2],
    parts: Parts,
    /// The folder of a UNet that draws from the slots.
    unet: Option<PathBuf>,
}

impl Release {
    /// Reads a folder or a safetensors file. `spec` says what the checkpoint does not.
    ///
    /// # Errors
    /// [`TrainerError::Nets`] for files that cannot be read, [`TrainerError::Release`] for a layout that is not known
    /// or contradicts itself.
    pub fn open(path: &Path, spec: &TrainerSpec) -> Result<Self> {
        let (translated, digest) = match lsd::folder(path) {
            Some(folder) => lsd::read(&folder, spec)?,
            None => one_file(path, spec)?,
        };
        let Translated { spec, feature_shape, parts, unet } = translated;
        Ok(Self { path: path.to_owned(), spec, feature_shape, parts, digest, unet })
    }

    /// The run spec with what the checkpoint says itself.
    pub fn spec(&self) -> &TrainerSpec {
        &self.spec
    }

    /// What the checkpoint is, whatever it is called.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The image decoder, where the checkpoint has one, and the digest of its weights. `run` says of which kind it is
    /// and where its frozen parts lie.
    ///
    /// # Errors
    /// [`TrainerError::Nets`] for files that cannot be read.
    pub fn image_decoder(&self, run: &TrainerSpec, device: &Device) -> Result<Option<(ImageDecoder, Digest)>> {
        let Some(folder) = &self.unet else { return Ok(None) };
        let decoder = ImageDecoder::published(run, folder, device)?;
        let digest = folder_digest(folder)?.parse()?;
        Ok(decoder.map(|decoder| (decoder, digest)))
    }

    /// The networks, without an image decoder.
    ///
    /// # Errors
    /// [`TrainerError::Release`] naming every tensor that is missing, left over or of another shape.
    pub fn networks(mut self, device: &Device) -> Result<Networks> {
        // Every weight comes from the checkpoint; what the seed draws is replaced.
        let mut networks = Networks::new(&self.spec, self.feature_shape, 0, device);
        networks.encoder = TrainedEncoder::new(&self.spec.encoder, 0, device)?;
        let mut fill = Fill { parts: &mut self.parts, path: &self.path, fault: None };
        let networks = networks.map(&mut fill);
        match fill.fault {
            Some(fault) => Err(fault),
            None => Ok(networks),
        }
    }
}

/// A checkpoint in one file: a safetensors file, or a folder with one.
fn one_file(path: &Path, spec: &TrainerSpec) -> Result<(Translated, Digest)> {
    let weights = match path.is_dir() {
        true => Weights::open(path, "model").or_else(|_| Weights::open(path, "checkpoint"))?,
        false => Weights::file(path)?,
    };
    let translated = if weights.contains(spot::MARK) {
        spot::read(&weights, spec)?
    } else if weights.contains(dinosaur::MARK) {
        dinosaur::read(&weights, spec)?
    } else {
        let names: Vec<String> = weights.names().take(3).map(|name| format!("`{name}`")).collect();
        return Err(TrainerError::Release {
            path: path.to_owned(),
            message: format!("is of no known layout: its tensors are called {}, …", names.join(", ")),
        });
    };
    Ok((translated, weights.digest().parse()?))
}

/// Puts the tensors of a checkpoint into freshly made networks.
struct Fill<'a> {
    parts: &'a mut Parts,
    path: &'a Path,
    fault: Option<TrainerError>,
}

impl Fill<'_> {
    fn filled<M: Module>(&mut self, layout: &Layout, part: M) -> Result<M> {
        let refuse = |message: String| TrainerError::Release { path: self.path.to_owned(), message };
        let Some(mut named) = self.parts.remove(layout.object) else {
            return match layout.origin {
                Origin::Pretrained => Ok(part),
                Origin::Seed => Err(refuse(format!("has no tensors of `{}`", layout.object))),
            };
        };
        (layout.absorb)(&mut named);
        restore(part, named, layout.rename, layout.object).map_err(|fault| match fault {
            TrainerError::State { message, .. } => refuse(message),
            other => other,
        })
    }
}

impl PartMapper for Fill<'_> {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        if self.fault.is_some() {
            return part;
        }
        match self.filled(layout, part.clone()) {
            Ok(filled) => filled,
            Err(fault) => {
                self.fault = Some(fault);
                part
            }
        }
    }
}

/// Our name for the beginning of a name, of the first pair that fits, and the rest of it.
fn begun<'a>(names: &[(&str, &'static str)], name: &'a str) -> Option<(&'static str, &'a str)> {
    names.iter().find_map(|(theirs, ours)| Some((*ours, name.strip_prefix(theirs)?)))
}

/// All tensors that `rename` gives one of our names, as numbers; those that it gives none are another network's.
fn renamed(weights: &Weights, rename: impl Fn(&str) -> Option<String>) -> Result<Named> {
    let mut named = Named::new();
    for name in weights.names() {
        if let Some(ours) = rename(name) {
            let shape = weights.shape(name).unwrap_or_default().to_vec();
            named.insert(ours, (shape, weights.floats(name)?));
        }
    }
    Ok(named)
}

/// The shape of a tensor that a layout cannot do without.
fn shape<const D: usize>(weights: &Weights, name: &str) -> Result<[usize; D]> {
    let shape = weights.shape(name).and_then(|shape| shape.try_into().ok());
    shape.ok_or_else(|| TrainerError::Release {
        path: weights.path().to_owned(),
        message: format!("has no tensor `{name}` of {D} axes"),
    })
}

/// How many of `head0…`, `head1…` there are.
fn count(weights: &Weights, head: &str, tail: &str) -> usize {
    (0..).take_while(|index| weights.contains(&format!("{head}{index}{tail}"))).count()
}

/// Queries, keys and values that lie one below the other.
fn thirds((shape, values): &(Vec<usize>, Vec<f32>)) -> Vec<(Vec<usize>, Vec<f32>)> {
    let mut third = shape.clone();
    third[0] /= 3;
    values.chunks_exact((values.len() / 3).max(1)).map(|values| (third.clone(), values.to_vec())).collect()
}
