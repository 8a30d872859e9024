//! `glassctl models list`.

use std::path::Path;

use crate::support::snapshot::check;
use crate::support::{Hub, Place, weights};

#[test]
fn a_line_a_lock_file_says_what_is_in_the_cache() {
    let hub = Hub::start();
    hub.small("config.json", "{}").large("model.safetensors", weights("w", 3_000_000));
    let place = Place::new(&hub);
    place.lock("main", &["path = \"config.json\"", "path = \"model.safetensors\""]);
    place.run(&["list"]).says(0, &["net   dinov2   0/2     –     0/2      MIT"]);
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    check("models-list", &place.run(&["list"]), place.root());
    check("models-list-json", &place.run(&["list", "--json"]), place.root());
    check("models-fetch", &place.run(&["fetch", "net"]), place.root());
    let fetched = place.run(&["fetch", "net", "--json"]);
    check("models-fetch-json", &fetched, place.root());
    let fetched: serde_json::Value = serde_json::from_str(&fetched.stdout).unwrap();
    let folder = fetched[0]["folder"].as_str().unwrap();
    check("models-verify", &place.run(&["verify", "net"]), place.root());
    let checked = place.run(&["verify", folder, "--lock", "net", "--json"]);
    check("models-verify-json", &checked, place.root());
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
