//! `glassctl models verify`.

use crate::support::{Hub, Place, weights};

/// A fetched and pinned checkpoint.
fn fetched() -> (Hub, Place) {
    let hub = Hub::start();
    hub.small("config.json", "{}").large("model.safetensors", weights("w", 5_000));
    let place = Place::new(&hub);
    place.lock("main", &["path = \"config.json\"", "path = \"model.safetensors\""]);
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    (hub, place)
}

/// Writes over a file of the snapshot, through its link.
fn overwrite(place: &Place, path: &str, contents: &[u8]) {
    std::fs::write(place.snapshot().join(path), contents).unwrap();
}

#[test]
fn a_whole_checkpoint_is_right_by_name_and_by_folder() {
    let (_hub, place) = fetched();
    let expected = ["ok     config.json", "sha256 as in the lock file", "1 tensors, all within the file"];
    place.run(&["verify", "net"]).says(0, &expected);
    place.run(&["verify", place.snapshot().to_str().unwrap()]).says(0, &expected);
}

#[test]
fn a_truncated_file_is_named() {
    let (_hub, place) = fetched();
    overwrite(&place, "model.safetensors", &weights("w", 5_000)[..4_000]);
    let expected = ["WRONG  model.safetensors  truncated: 4000 bytes", "truncated or damaged", "hint: "];
    place.run(&["verify", "net"]).says(1, &expected);
}

#[test]
fn a_changed_byte_is_found() {
    let (_hub, place) = fetched();
    overwrite(&place, "config.json", b"[]");
    place.run(&["verify", "net"]).says(1, &["WRONG  config.json  sha256 is `", "expected `"]);
}

#[test]
fn a_folder_without_a_lock_file_is_checked_for_its_tensors() {
    let (_hub, place) = fetched();
    let folder = place.path("plain");
    std::fs::create_dir_all(&folder).unwrap();
    place.run(&["verify", folder.to_str().unwrap()]).says(1, &["holds no weights"]);
    std::fs::write(folder.join("model-1.safetensors"), weights("a", 10)).unwrap();
    let index = folder.join("model.safetensors.index.json");
    let verify = |map: &str| {
        std::fs::write(&index, format!(r#"{{"weight_map":{map}}}"#)).unwrap();
        place.run(&["verify", folder.to_str().unwrap()])
    };
    verify(r#"{"a":"model-1.safetensors"}"#).says(0, &["digests are not compared", "1 tensors in 1 shards"]);
    verify(r#"{"b":"model-1.safetensors"}"#).says(1, &["tensor `b` is not in `model-1.safetensors`"]);
    verify(r#"{"b":"model-2.safetensors"}"#).says(1, &["names `model-2.safetensors`, which is missing"]);
    verify(r#"{"b":"../x.safetensors"}"#).says(1, &["names `../x.safetensors`"]);
    place.run(&["verify", folder.to_str().unwrap(), "--lock", "net"]).says(1, &["WRONG  config.json  missing"]);
}

#[test]
fn what_was_not_fetched_comes_with_the_command_that_does() {
    let hub = Hub::start();
    let place = Place::new(&hub);
    place.lock("main", &["path = \"config.json\""]);
    place.run(&["verify", "net"]).says(1, &["not in the cache", "glassctl models fetch net"]);
}
