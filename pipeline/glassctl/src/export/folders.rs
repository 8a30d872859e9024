//! Folders of pictures and palette masks, as Dataset-Diffusion's `gen_data.py` lays them out and the
//! PASCAL VOC readers of segmentation tools expect them.

use std::collections::BTreeMap;

use anyhow::Context;
use glass_metrics::LabelMap;
use glass_schemas::dataset::ClassLabel;
use glass_stage::Explain;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder::Folder;
use super::pictures::{Pictures, labels};
use super::{Format, json_array};
use crate::joined::Pair;

/// Writes folders.
pub(super) struct Folders {
    pictures: Pictures,
    classes: Classes,
}

/// What is kept of a picture.
#[derive(Serialize, Deserialize)]
struct Listed {
    prompt: Prompt,
    classes: Vec<ClassLabel>,
}

/// An entry of `prompts.json`, field by field as Dataset-Diffusion has it.
#[derive(Serialize, Deserialize)]
struct Prompt {
    filename: String,
    /// What was drawn: the caption, then the classes.
    caption: String,
    class_prompt: String,
}

impl Folders {
    pub(super) fn new(folder: &Folder, pictures: Pictures) -> anyhow::Result<Self> {
        folder.make("image")?;
        folder.make("mask")?;
        Ok(Self { pictures, classes: Classes::default() })
    }
}

impl Format for Folders {
    fn add(&mut self, folder: &Folder, pair: &Pair) -> anyhow::Result<Value> {
        self.classes.add(&pair.mask.classes)?;
        let sample = pair.drawing.sample_id;
        let (bytes, ending) = self.pictures.file(pair)?;
        let filename = format!("{sample}.{ending}");
        folder.write(&format!("image/{filename}"), &bytes)?;
        folder.write(&format!("mask/{sample}.png"), &palette_png(&labels(pair)?)?)?;
        let names: Vec<&str> = pair.drawing.classes.iter().map(|class| class.name.as_str()).collect();
        let (caption, class_prompt) = (pair.drawing.prompt.clone(), names.join(" "));
        let prompt = Prompt { filename, caption, class_prompt };
        Ok(serde_json::to_value(Listed { prompt, classes: pair.mask.classes.clone() })?)
    }

    fn assemble(&self, folder: &Folder) -> anyhow::Result<()> {
        let mut classes = Classes::default();
        let mut file = folder.replace("prompts.json")?;
        let prompts = folder.entries::<Listed>()?.map(|listed| {
            let listed = listed?;
            classes.add(&listed.classes)?;
            Ok(listed.prompt)
        });
        json_array(&mut file, prompts)?;
        file.finish()?;
        let classes: Vec<ClassLabel> = classes.0.into_iter().map(|(id, name)| ClassLabel { id, name }).collect();
        folder.write_json("classes.json", &classes)
    }
}

/// The names of the pixel values.
#[derive(Default)]
struct Classes(BTreeMap<u32, String>);

impl Classes {
    /// # Errors
    /// The user's: a number that means another class in another picture.
    fn add(&mut self, classes: &[ClassLabel]) -> anyhow::Result<()> {
        for ClassLabel { id, name } in classes {
            let known = self.0.entry(*id).or_insert_with(|| name.clone());
            if known != name {
                return Err(anyhow::anyhow!("class {id} is `{known}` in one picture and `{name}` in another"))
                    .blame_user()
                    .hint("an open vocabulary numbers classes for each picture: use --format coco or webdataset");
            }
        }
        Ok(())
    }
}

/// An 8-bit palette PNG whose indices are the labels.
fn palette_png(map: &LabelMap) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (u32::try_from(map.width())?, u32::try_from(map.height())?);
    let indices: Vec<u8> = map.labels().iter().map(|&label| u8::try_from(label)).collect::<Result<_, _>>()?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255).flat_map(voc_colour).collect::<Vec<u8>>());
    let mut writer = encoder.write_header().context("cannot encode a mask")?;
    writer.write_image_data(&indices).context("cannot encode a mask")?;
    writer.finish().context("cannot encode a mask")?;
    Ok(bytes)
}

/// The colour of an index in PASCAL VOC's masks (`VOClabelcolormap` of the VOC development kit: bit 3k
/// of the index becomes bit 7 − k of red, 3k + 1 of green, 3k + 2 of blue). It is part of this format,
/// some of whose readers go by colour, and tells all 256 values apart; what is made to be looked at has
/// the colours of [`crate::report`].
fn voc_colour(index: u8) -> [u8; 3] {
    std::array::from_fn(|channel| {
        (0..3).filter(|k| 3 * k + channel < 8).fold(0, |value, k| value | (index >> (3 * k + channel) & 1) << (7 - k))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_palette_is_that_of_pascal_voc() {
        let known = [
            (0, [0, 0, 0]),
            (1, [128, 0, 0]),
            (6, [0, 128, 128]),
            (15, [192, 128, 128]),
            (20, [0, 64, 128]),
            (255, [224, 224, 192]),
        ];
        for (index, colour) in known {
            assert_eq!(voc_colour(index), colour, "{index}");
        }
    }

    #[test]
    fn a_number_with_two_meanings_is_refused() {
        let class = |id, name: &str| ClassLabel { id, name: name.to_owned() };
        let mut classes = Classes::default();
        assert!(classes.add(&[class(1, "bus"), class(2, "dog")]).is_ok());
        assert!(classes.add(&[class(2, "dog")]).is_ok());
        let error = classes.add(&[class(1, "dog")]).map_err(|error| error.to_string());
        assert_eq!(error, Err("class 1 is `bus` in one picture and `dog` in another".to_owned()));
    }
}
