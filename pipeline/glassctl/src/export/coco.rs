//! COCO instances, as pycocotools reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::Context;
use glass_dataset::Dataset;
use glass_metrics::{Bounds, Connectivity, LabelMap, Mask, Rle};
use glass_schemas::dataset::ClassLabel;
use glass_schemas::ids::DatasetId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::folder::Folder;
use super::pictures::{Pictures, labels};
use super::{Format, json_array};
use crate::joined::Pair;

const ANNOTATIONS: &str = "annotations/instances.json";

/// What one object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Instances {
    /// Each part of a class whose pixels touch, corners included
    #[default]
    Components,
    /// All pixels of a class
    Classes,
}

/// Writes COCO instances.
pub(super) struct Coco {
    dataset: DatasetId,
    instances: Instances,
    pictures: Pictures,
}

/// What is kept of a picture.
#[derive(Serialize, Deserialize)]
struct Pictured {
    file_name: String,
    width: u32,
    height: u32,
    classes: Vec<ClassLabel>,
    objects: Vec<Object>,
}

#[derive(Serialize, Deserialize)]
struct Object {
    class: ClassLabel,
    /// Run lengths down the columns, in the text form of the COCO API.
    counts: String,
    area: usize,
    /// Left, top, width, height.
    bbox: [usize; 4],
}

impl Coco {
    pub(super) fn new(
        folder: &Folder,
        masks: &Dataset,
        instances: Instances,
        pictures: Pictures,
    ) -> anyhow::Result<Self> {
        folder.make("images")?;
        folder.make("annotations")?;
        Ok(Self { dataset: masks.id().clone(), instances, pictures })
    }

    fn objects(&self, map: &LabelMap, classes: &[ClassLabel]) -> anyhow::Result<Vec<Object>> {
        let mut objects = Vec::new();
        for class in classes {
            let label = u16::try_from(class.id).context("a class id that is no label")?;
            let whole = Mask::of_label(map, label);
            let parts = match self.instances {
                Instances::Classes => vec![whole],
                Instances::Components => {
                    let (parts, areas) = whole.components(Connectivity::Eight)?;
                    (1..=areas.len() as u16).map(|part| Mask::of_label(&parts, part)).collect()
                }
            };
            objects.extend(parts.iter().filter_map(|part| Object::of(class, part)));
        }
        Ok(objects)
    }
}

impl Object {
    /// `None` for a class without a pixel.
    fn of(class: &ClassLabel, mask: &Mask) -> Option<Self> {
        let Bounds { x, y, width, height } = mask.bounds()?;
        Some(Self {
            class: class.clone(),
            counts: Rle::encode(mask).to_compressed(),
            area: mask.area(),
            bbox: [x, y, width, height],
        })
    }
}

impl Format for Coco {
    fn add(&mut self, folder: &Folder, pair: &Pair) -> anyhow::Result<Value> {
        let (bytes, ending) = self.pictures.file(pair)?;
        let file_name = format!("{}.{ending}", pair.drawing.sample_id);
        folder.write(&format!("images/{file_name}"), &bytes)?;
        let classes = pair.mask.classes.clone();
        let objects = self.objects(&labels(pair)?, &classes)?;
        let (width, height) = (pair.drawing.width, pair.drawing.height);
        Ok(serde_json::to_value(Pictured { file_name, width, height, classes, objects })?)
    }

    /// Written one entry at a time: with a million objects the document does not fit everywhere.
    fn assemble(&self, folder: &Folder) -> anyhow::Result<()> {
        let mut file = folder.replace(ANNOTATIONS)?;
        let info = json!({ "description": self.dataset.to_string(), "version": "1" });
        write!(file, "{{\"info\":{info},\"licenses\":[],\n\"images\":")?;
        let mut classes = Classes::default();
        let images = folder.entries::<Pictured>()?.zip(1_u64..).map(|(pictured, id)| {
            let Pictured { file_name, width, height, classes: named, .. } = pictured?;
            classes.add(named);
            Ok(json!({ "id": id, "file_name": file_name, "width": width, "height": height }))
        });
        json_array(&mut file, images)?;
        let categories = classes.categories();
        write!(file, ",\n\"annotations\":")?;
        let mut id = 0_u64;
        let objects = folder.entries::<Pictured>()?.zip(1_u64..).flat_map(|(pictured, image_id)| match pictured {
            Ok(pictured) => annotations(&pictured, image_id, &mut id, &categories).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        json_array(&mut file, objects)?;
        write!(file, ",\n\"categories\":")?;
        let names: BTreeMap<u32, &str> = categories.iter().map(|(class, &id)| (id, class.name.as_str())).collect();
        json_array(
            &mut file,
            names.iter().map(|(id, name)| Ok(json!({ "id": id, "name": name, "supercategory": "" }))),
        )?;
        writeln!(file, "}}")?;
        Ok(file.finish()?)
    }
}

/// The annotations of a picture, numbered after `id`.
fn annotations(pictured: &Pictured, image_id: u64, id: &mut u64, categories: &BTreeMap<ClassLabel, u32>) -> Vec<Value> {
    let annotation = |object: &Object| {
        *id += 1;
        json!({
            "id": id,
            "image_id": image_id,
            "category_id": categories.get(&object.class),
            "segmentation": { "size": [pictured.height, pictured.width], "counts": object.counts },
            "area": object.area,
            "bbox": object.bbox,
            "iscrowd": 0,
        })
    };
    pictured.objects.iter().map(annotation).collect()
}

/// The classes met.
#[derive(Default)]
struct Classes(BTreeSet<ClassLabel>);

impl Classes {
    fn add(&mut self, classes: Vec<ClassLabel>) {
        self.0.extend(classes);
    }

    /// The category of each class: its number in the vocabulary. An open vocabulary numbers classes for
    /// each picture anew, and there a category is a name, in alphabetical order.
    fn categories(self) -> BTreeMap<ClassLabel, u32> {
        let numbers: BTreeSet<u32> = self.0.iter().map(|class| class.id).collect();
        if numbers.len() == self.0.len() {
            return self.0.into_iter().map(|class| (class.clone(), class.id)).collect();
        }
        let names: BTreeSet<String> = self.0.iter().map(|class| class.name.clone()).collect();
        let ids: BTreeMap<String, u32> = names.into_iter().zip(1..).collect();
        self.0.into_iter().map(|class| (class.clone(), ids[&class.name])).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn categories(classes: &[(u32, &str)]) -> Vec<u32> {
        let class = |&(id, name): &(u32, &str)| ClassLabel { id, name: name.to_owned() };
        let met = Classes(classes.iter().map(class).collect());
        let categories = met.categories();
        classes.iter().map(|pair| categories[&class(pair)]).collect()
    }

    #[test]
    fn a_category_is_the_vocabularys_number_where_there_is_one() {
        assert_eq!(categories(&[(6, "bus"), (20, "tv")]), [6, 20]);
        assert_eq!(categories(&[(1, "zebra"), (1, "bus"), (2, "zebra")]), [2, 1, 2]);
    }

    #[test]
    fn parts_of_a_class_that_do_not_touch_are_objects_of_their_own() {
        let bus = ClassLabel { id: 6, name: "bus".to_owned() };
        // Two pixels that touch with a corner, uncertain ones between, and one on its own.
        let map = LabelMap::new(4, 2, vec![6, 0, 255, 6, 0, 6, 255, 0]).unwrap();
        let boxes = |instances| {
            let dataset = "masks-0123456789abcdef".parse().unwrap();
            let coco = Coco { dataset, instances, pictures: Pictures::AsStored };
            let objects = coco.objects(&map, std::slice::from_ref(&bus)).unwrap();
            objects.iter().map(|object| (object.bbox, object.area)).collect::<Vec<_>>()
        };
        assert_eq!(boxes(Instances::Components), [([0, 0, 2, 2], 2), ([3, 0, 1, 1], 1)]);
        assert_eq!(boxes(Instances::Classes), [([0, 0, 4, 2], 3)]);
    }

    #[test]
    fn a_class_without_a_pixel_is_no_object() {
        let class = ClassLabel { id: 1, name: "dog".to_owned() };
        assert!(Object::of(&class, &Mask::empty(3, 3)).is_none());
    }
}
