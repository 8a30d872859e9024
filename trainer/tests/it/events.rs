//! TensorBoard event files.

use glass_trainer::track::{EventFile, History, Line, masked_crc};

#[test]
fn a_scalar_is_framed_as_tensorflow_frames_it() {
    let mut file = EventFile::new(0.0);
    file.scalar(0.0, 3, "loss", 0.5);
    let bytes = file.into_bytes();
    // The version record, with checksums computed apart from this code.
    let expected = "1800000000000000a37f4b220900000000000000001a0d627261696e2e4576656e743a32eedf28a3";
    assert_eq!(hex(&bytes[..expected.len() / 2]), expected);
    let mut rest = &bytes[expected.len() / 2..];
    let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
    assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
    rest = &rest[12..];
    assert_eq!(rest[length..], masked_crc(&rest[..length]).to_le_bytes());
    assert_eq!(hex(&rest[..length]), "09000000000000000010032a0d0a0b0a046c6f7373150000003f");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn metrics_survive_a_round_trip() {
    let mut history = History::default();
    history.push(Line { step: 50, phase: 1, values: [("loss/total".to_owned(), 0.25)].into() });
    let text = history.to_json_lines().unwrap();
    assert_eq!(text, "{\"step\":50,\"phase\":1,\"loss/total\":0.25}\n");
    assert_eq!(History::parse(&text).unwrap(), history);
    assert!(History::parse("{").unwrap_err().to_string().contains("line 1"));
}
