//! Pictures and masks as files.

use std::borrow::Cow;

use anyhow::Context;
use glass_metrics::{LabelMap, Nearest};
use image::codecs::jpeg::JpegEncoder;

use crate::joined::{self, Pair};

/// Of 100. Training sees what is lost at the 75 that writers default to.
const JPEG_QUALITY: u8 = 95;

/// How pictures are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pictures {
    /// Byte for byte what the dataset holds: PNG or WebP, without loss
    AsStored,
    /// JPEG of quality 95, with loss
    Jpeg,
}

impl Pictures {
    /// The file of a picture, and the ending of its name.
    pub(super) fn file(self, pair: &Pair) -> anyhow::Result<(Cow<'_, [u8]>, &'static str)> {
        let stored = &pair.drawing.image.bytes;
        let unreadable = || format!("cannot read the picture of sample {}", pair.drawing.sample_id);
        match self {
            Self::AsStored => {
                let format = image::guess_format(stored).with_context(unreadable)?;
                let ending = format.extensions_str().first().context("a picture of no known format")?;
                Ok((Cow::Borrowed(stored), ending))
            }
            Self::Jpeg => {
                let picture = image::load_from_memory(stored).with_context(unreadable)?.to_rgb8();
                let mut bytes = Vec::new();
                let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
                picture.write_with_encoder(encoder).context("cannot encode a picture")?;
                Ok((Cow::Owned(bytes), "jpg"))
            }
        }
    }
}

/// The labels of a pair's mask at the size of its picture: readers want them to be of one size.
pub(super) fn labels(pair: &Pair) -> anyhow::Result<LabelMap> {
    let mask = joined::labels(&pair.mask.mask)?;
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let labels = mask.into_raw().into_iter().map(u16::from).collect();
    let map = LabelMap::new(width, height, labels)?;
    Ok(map.resize(pair.drawing.width as usize, pair.drawing.height as usize, Nearest::Centre))
}
