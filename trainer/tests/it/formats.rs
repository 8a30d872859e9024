//! Published formats against what the usual libraries read from them (ci/reference/fixtures.py).

use std::path::{Path, PathBuf};

use glass_metrics::{LabelMap, Protocol, RegionKind};
use glass_schemas::spec::{AnnotationFormat, ImagesSpec};
use glass_trainer::data::annotated::{Access, AnnotatedImages, DataError, Faults, open};
use serde_json::Value;

/// Folder of the fixtures.
pub fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/formats").join(name)
}

fn at(name: &str) -> String {
    fixtures(name).display().to_string()
}

/// A fixture as a spec names it.
pub fn spec(set: &str) -> ImagesSpec {
    let of = |format, uri: &str, annotations: &str, split: &str| ImagesSpec {
        format,
        uri: at(uri),
        annotations: if annotations.is_empty() { String::new() } else { at(annotations) },
        split: split.into(),
        ..ImagesSpec::default()
    };
    match set {
        "coco" => of(AnnotationFormat::Coco, "coco/val2017", "coco/annotations/instances_val2017.json", ""),
        "objects365" => of(AnnotationFormat::Objects365, "objects365/val", "objects365/zhiyuan_objv2_val.json", ""),
        "voc-val" => of(AnnotationFormat::Voc, "VOCdevkit", "", "val"),
        "voc-trainaug" => of(AnnotationFormat::Voc, "VOCdevkit/VOC2012", "sbd", "trainaug"),
        "clevrtex" => of(AnnotationFormat::Clevrtex, "clevrtex/clevrtex_full", "", "val"),
        "label-maps" => ImagesSpec {
            classes: at("label-maps/classes"),
            void: Some(255),
            ..of(AnnotationFormat::LabelMaps, "label-maps/images", "label-maps/instances", "")
        },
        "parquet" => of(AnnotationFormat::Parquet, "parquet/data", "", "val"),
        other => panic!("no fixture {other}"),
    }
}

pub fn opened(spec: &ImagesSpec) -> Result<AnnotatedImages, DataError> {
    open(spec, &Access::local(), &mut Faults::Refuse)
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures("expected.json")).unwrap()).unwrap()
}

/// `[class, pixels, left, top, width, height]` of every object, and the number of crowds.
fn found(images: &AnnotatedImages, index: usize) -> (Vec<Vec<u64>>, u64) {
    let regions = images.annotations().regions(&images.pictures()[index]).unwrap();
    let crowds = regions.iter().filter(|region| region.kind == RegionKind::Crowd).count() as u64;
    let objects = regions.iter().filter(|region| region.kind == RegionKind::Object).map(|region| {
        let bounds = region.mask.bounds().unwrap();
        let [x, y, w, h] = [bounds.x, bounds.y, bounds.width, bounds.height].map(|side| side as u64);
        vec![u64::from(region.category), region.mask.area() as u64, x, y, w, h]
    });
    (objects.collect(), crowds)
}

fn agree(set: &str) {
    let expected = expected();
    let expected = expected[set].as_array().unwrap();
    let images = opened(&spec(set)).unwrap();
    assert_eq!(images.pictures().len(), expected.len(), "{set}");
    for (index, (picture, expected)) in images.pictures().iter().zip(expected).enumerate() {
        assert_eq!(picture.name, expected["name"], "{set}");
        let decoded = images.decode(picture).unwrap();
        assert_eq!(serde_json::json!([decoded.width(), decoded.height()]), expected["size"], "{set}");
        assert_eq!(serde_json::json!([picture.width, picture.height]), expected["size"], "{set}");
        let (objects, crowds) = found(&images, index);
        assert_eq!(serde_json::json!(objects), expected["objects"], "{set} {}", picture.name);
        assert_eq!(crowds, expected["crowds"], "{set}");
    }
}

#[test]
fn coco_is_read_as_pycocotools_reads_it() {
    agree("coco");
    let images = opened(&spec("coco")).unwrap();
    assert_eq!(images.annotations().classes(), ["person", "car", "toothbrush"]);
}

#[test]
fn objects365_is_read_as_painted_boxes() {
    agree("objects365");
}

#[test]
fn voc_is_read_as_pillow_reads_its_palettes() {
    agree("voc-val");
}

#[test]
fn trainaug_is_sbd_and_train_without_val_and_mat_files_are_read_as_scipy_reads_them() {
    agree("voc-trainaug");
}

#[test]
fn clevrtex_is_cut_and_split_as_its_loader_does() {
    agree("clevrtex");
}

#[test]
fn label_maps_of_sixteen_bits_keep_their_labels() {
    agree("label-maps");
}

#[test]
fn tables_of_the_datasets_library_are_read_row_by_row() {
    agree("parquet");
}

/// As the reference writes a map down.
fn checksum(map: &LabelMap) -> Value {
    let mut pixels = serde_json::Map::new();
    for label in map.distinct() {
        let count = map.labels().iter().filter(|other| **other == label).count();
        pixels.insert(label.to_string(), count.into());
    }
    let places: u64 = map.labels().iter().enumerate().map(|(at, label)| u64::from(*label) * (at as u64 % 65521)).sum();
    serde_json::json!({"pixels": pixels, "places": places})
}

#[test]
fn maps_are_resized_and_cut_as_each_protocol_does() {
    let expected = expected();
    for (set, protocols) in [("voc-val", vec!["spot", "glass-release"]), ("objects365", vec!["glass-release"])] {
        let images = opened(&spec(set)).unwrap();
        for id in protocols {
            let protocol = Protocol::shipped(id).unwrap();
            let truths = images.annotations().truths(&images.pictures()[0], &[protocol]).unwrap();
            let truth = truths[0].as_ref().unwrap();
            assert_eq!(checksum(&truth.instances), expected[set][0][id], "{set} {id}");
        }
    }
}

#[test]
fn every_protocol_has_a_truth_for_every_format() {
    let protocols = Protocol::SHIPPED.map(|id| Protocol::shipped(id).unwrap());
    for set in ["coco", "objects365", "voc-val", "voc-trainaug", "clevrtex", "label-maps", "parquet"] {
        let images = opened(&spec(set)).unwrap();
        let truths = images.annotations().truths(&images.pictures()[0], &protocols).unwrap();
        for (protocol, truth) in protocols.iter().zip(truths) {
            let truth = truth.unwrap();
            let side = protocol.mask_size as usize;
            assert_eq!(truth.instances.size(), (side, side));
            assert!(truth.instances.distinct().len() > 1, "{set} {}", protocol.id);
        }
    }
}

#[test]
fn a_store_gives_what_a_folder_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let access = Access { runtime: Some(runtime.handle().clone()), ..Access::local() };
    for set in ["coco", "voc-trainaug", "clevrtex", "label-maps", "parquet"] {
        let local = opened(&spec(set)).unwrap();
        let mut remote = spec(set);
        for uri in [&mut remote.uri, &mut remote.annotations, &mut remote.classes] {
            if !uri.is_empty() {
                *uri = format!("file://{uri}");
            }
        }
        let remote = open(&remote, &access, &mut Faults::Refuse).unwrap();
        assert_eq!(remote.digest(), local.digest(), "{set}");
        assert_eq!(remote.pictures().len(), local.pictures().len());
        for (index, picture) in remote.pictures().iter().enumerate() {
            assert_eq!(remote.decode(picture).unwrap(), local.decode(&local.pictures()[index]).unwrap());
            assert_eq!(found(&remote, index), found(&local, index), "{set}");
        }
    }
}

#[test]
fn another_picture_or_another_limit_is_another_digest() {
    let whole = opened(&spec("coco")).unwrap();
    let part = opened(&ImagesSpec { limit: Some(2), ..spec("coco") }).unwrap();
    assert_eq!(part.pictures().len(), 2);
    assert_ne!(whole.digest(), part.digest());
}

#[test]
fn pictures_without_an_object_can_be_left_out() {
    use glass_schemas::spec::EmptyPictures;
    let full = opened(&ImagesSpec { empty: EmptyPictures::Drop, ..spec("coco") }).unwrap();
    assert_eq!(full.pictures().len(), 2);
}
