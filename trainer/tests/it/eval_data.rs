//! What the user sees when validation data are not what they should be.

use glass_trainer::data::annotated::DataError;
use glass_trainer::eval::coco::ValidationSet;
use serde_json::json;

use crate::toy::Data;

fn open(data: &Data) -> Result<ValidationSet, DataError> {
    ValidationSet::open(data.folder(), &data.instances(), None)
}

/// The whole chain, as a program prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn refused(data: &Data) -> String {
    let set = match open(data) {
        Ok(set) => set,
        Err(error) => return chain(&error),
    };
    for picture in set.pictures() {
        if let Err(error) = set.decode(picture).and_then(|_| set.annotations().regions(picture)) {
            return chain(&error);
        }
    }
    panic!("accepted");
}

#[test]
fn pictures_come_in_the_order_of_the_file_with_classes_counted_from_one() {
    let data = Data::new(3);
    let set = open(&data).unwrap();
    assert_eq!(set.annotations().classes(), ["red", "blue"]);
    let names: Vec<&str> = set.pictures().iter().map(|picture| picture.name.as_str()).collect();
    assert_eq!(names, ["0.png", "1.png", "2.png"]);
    let regions = set.annotations().regions(&set.pictures()[1]).unwrap();
    let found: Vec<(u16, usize)> = regions.iter().map(|region| (region.category, region.mask.area())).collect();
    assert_eq!(found, [(1, 144), (2, 100)]);
}

#[test]
fn limit_keeps_the_first_pictures_and_their_annotations() {
    let data = Data::new(3);
    let set = ValidationSet::open(data.folder(), &data.instances(), Some(2)).unwrap();
    assert_eq!(set.pictures().len(), 2);
}

#[test]
fn a_picture_that_is_not_there_is_named_with_its_field() {
    let data = Data::new(2);
    std::fs::remove_file(data.folder().join("1.png")).unwrap();
    let message = refused(&data);
    assert!(message.contains("images[1].file_name") && message.contains("1.png"), "{message}");
}

#[test]
fn a_mask_of_another_size_than_its_picture_is_named_with_its_field() {
    let mut data = Data::new(2);
    data.document["annotations"][3]["segmentation"] = json!({"size": [16, 16], "counts": [256]});
    data.save();
    let message = refused(&data);
    assert!(message.contains("annotations[3].segmentation") && message.contains("16"), "{message}");
}

#[test]
fn run_lengths_that_do_not_cover_the_picture_are_named_with_their_field() {
    let mut data = Data::new(1);
    data.document["annotations"][0]["segmentation"]["counts"] = json!([5, 5]);
    data.save();
    let message = refused(&data);
    assert!(message.contains("annotations[0].segmentation") && message.contains("covers 10 pixels"), "{message}");
}

#[test]
fn a_picture_of_another_size_than_its_entry_says_is_refused() {
    let mut data = Data::new(1);
    data.document["images"][0]["width"] = json!(31);
    data.save();
    let message = refused(&data);
    assert!(message.contains("0.png") && message.contains("32×32") && message.contains("31×32"), "{message}");
}

#[test]
fn annotations_that_point_nowhere_are_refused() {
    for (field, value) in [("image_id", 99), ("category_id", 99)] {
        let mut data = Data::new(1);
        data.document["annotations"][1][field] = json!(value);
        data.save();
        let message = refused(&data);
        assert!(message.contains(&format!("annotations[1].{field}")) && message.contains("99"), "{message}");
    }
}

#[test]
fn a_text_file_named_png_is_refused_by_name() {
    let data = Data::new(1);
    std::fs::write(data.folder().join("0.png"), "not a picture").unwrap();
    let message = refused(&data);
    assert!(message.contains("0.png"), "{message}");
}

#[test]
fn a_document_that_is_no_annotation_file_is_refused_by_name_and_line() {
    let data = Data::new(1);
    std::fs::write(data.instances(), r#"{"images": [{"id": 1}], "annotations": [], "categories": []}"#).unwrap();
    let message = refused(&data);
    assert!(message.contains("instances.json") && message.contains("file_name"), "{message}");
    std::fs::remove_file(data.instances()).unwrap();
    assert!(refused(&data).contains("instances.json"));
}
