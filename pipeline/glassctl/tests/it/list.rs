//! `glassctl models list`.

use std::path::Path;

use crate::support::{Hub, Place, weights};

#[test]
fn a_line_a_lock_file_says_what_is_in_the_cache() {
    let hub = Hub::start();
    hub.small("config.json", "{}").large("model.safetensors", weights("w", 3_000_000));
    let place = Place::new(&hub);
    place.lock("main", &["path = \"config.json\"", "path = \"model.safetensors\""]);
    place.run(&["list"]).says(0, &["net   dinov2   0/2     –     0/2      MIT"]);
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    place.run(&["list"]).says(0, &["net   dinov2   2/2     3.0 MB  2/2      MIT"]);
    let listed: serde_json::Value = serde_json::from_str(&place.run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["files_in_cache"], 2);
    assert_eq!(listed[0]["licence"], "MIT");
    let fetched = place.run(&["fetch", "net", "--json"]);
    let folder: serde_json::Value = serde_json::from_str(&fetched.stdout).unwrap();
    let folder = folder["folder"].as_str().unwrap();
    let checked = place.run(&["verify", folder, "--lock", "net", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert!(checked.as_array().unwrap().iter().all(|file| file["right"] == true), "{checked}");
}

#[test]
fn every_shipped_lock_file_is_read() {
    let hub = Hub::start();
    let place = Place::new(&hub);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/weights");
    let count = std::fs::read_dir(&shipped).unwrap().count();
    std::fs::create_dir_all(place.path("locks")).unwrap();
    for entry in std::fs::read_dir(&shipped).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, place.path("locks").join(path.file_name().unwrap())).unwrap();
    }
    let outcome = place.run(&["list"]);
    outcome.says(0, &["stable-diffusion-2-1-base", "CreativeML Open RAIL++-M", "blip2-opt-2.7b"]);
    assert_eq!(outcome.stdout.lines().count(), count + 1, "{}", outcome.stdout);
}
