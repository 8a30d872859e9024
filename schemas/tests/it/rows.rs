use glass_schemas::dataset::{
    AttentionMap, AttentionRow, CaptionRow, ClassLabel, ClassQuality, EncodedImage, GenerationRow, MapKind, MaskRow,
    Part, QuarantineRow, Row,
};
use glass_schemas::ids::{Digest, SampleId};

fn id() -> SampleId {
    SampleId::of_source(&Digest::of(b"x"))
}

fn classes() -> Vec<ClassLabel> {
    vec![ClassLabel { id: 3, name: "boat".to_owned() }]
}

fn round_trip<R: Row + PartialEq + std::fmt::Debug>(rows: &[R]) {
    let batch = R::encode(rows).unwrap();
    assert_eq!(batch.num_rows(), rows.len());
    assert_eq!(batch.schema(), R::schema());
    assert_eq!(R::decode(&batch).unwrap(), rows);
}

fn image() -> EncodedImage {
    EncodedImage { bytes: vec![1, 2, 3], path: "x.png".to_owned() }
}

pub fn caption() -> CaptionRow {
    CaptionRow {
        sample_id: id(),
        source_uri: "a/b.jpg".to_owned(),
        source_digest: Digest::of(b"x"),
        width: 4,
        height: 5,
        caption: "a boat".to_owned(),
        classes: classes(),
        class_source: "caption".to_owned(),
        flags: vec![],
        prompt: "a boat; boat".to_owned(),
    }
}

fn attention(maps: Vec<AttentionMap>) -> AttentionRow {
    AttentionRow { sample_id: id(), caption: "a boat".to_owned(), width: 8, height: 8, classes: classes(), maps }
}

fn map(part: Part, weight: u32, values: Vec<f32>) -> AttentionMap {
    AttentionMap { kind: MapKind::Cross, resolution: 2, part, weight, values }
}

#[test]
fn every_row_reads_back_as_it_was_written() {
    round_trip(&[caption(), CaptionRow { classes: vec![], ..caption() }]);
    round_trip::<CaptionRow>(&[]);
    round_trip(&[GenerationRow {
        sample_id: id(),
        source_id: id(),
        source_uri: "a".to_owned(),
        replicate: 1,
        seed: 2,
        caption: "c".to_owned(),
        classes: classes(),
        prompt: "p".to_owned(),
        image: image(),
        width: 1,
        height: 2,
        latent: vec![0.5, -1.0],
        latent_shape: vec![1, 1, 2],
    }]);
    round_trip(&[attention(vec![map(Part::All, 3, vec![0.1, 0.2, 0.3, 0.4])])]);
    round_trip(&[MaskRow {
        sample_id: id(),
        classes: classes(),
        mask: image(),
        width: 1,
        height: 1,
        extractor: "self-refined".to_owned(),
        quality: vec![ClassQuality {
            class_id: 3,
            peak: 0.1,
            area: 0.2,
            entropy: 0.3,
            agreement: 0.4,
            in_caption: true,
            dropped: false,
        }],
        agreement: 0.5,
    }]);
    let failed = QuarantineRow {
        stage: "captioner".to_owned(),
        shard: 0,
        item: "x.jpg".to_owned(),
        sample_id: None,
        error_class: "unreadable-image".to_owned(),
        attempt: 1,
        message: "m".to_owned(),
        inputs: "i".to_owned(),
    };
    round_trip(&[failed.clone(), QuarantineRow { sample_id: Some(id()), ..failed }]);
}

#[test]
fn the_mean_of_all_calls_is_derived_from_even_and_odd() {
    let row =
        attention(vec![map(Part::Even, 3, vec![1.0, 0.0, 0.0, 2.0]), map(Part::Odd, 1, vec![0.0, 4.0, 0.0, 2.0])]);
    assert_eq!(row.map(MapKind::Cross, 2, Part::All).unwrap(), [0.75, 1.0, 0.0, 2.0]);
    assert_eq!(row.map(MapKind::Cross, 2, Part::Odd).unwrap(), [0.0, 4.0, 0.0, 2.0]);
    assert!(row.map(MapKind::SelfAttention, 2, Part::All).is_none());
    assert!(row.map(MapKind::Cross, 4, Part::All).is_none());
}

#[test]
fn a_missing_column_is_named() {
    let batch = CaptionRow::encode(&[caption()]).unwrap();
    let without = batch.project(&[0, 1, 2]).unwrap();
    let message = CaptionRow::decode(&without).unwrap_err().to_string();
    assert!(message.contains("`width`") && message.contains("missing"), "{message}");
}

#[test]
fn image_columns_carry_the_feature_that_other_readers_look_for() {
    let schema = MaskRow::schema();
    let info: serde_json::Value = serde_json::from_str(&schema.metadata()["huggingface"]).unwrap();
    assert_eq!(info["info"]["features"]["mask"]["_type"], "Image");
}
