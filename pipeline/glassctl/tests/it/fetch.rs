//! `glassctl models fetch` when all goes well.

use crate::support::{Hub, Place, sha256, weights};

/// A hub with a small and a large file, and a place with an unpinned lock file for them.
fn one() -> (Hub, Place, Vec<u8>) {
    let hub = Hub::start();
    let large = weights("w", 50_000);
    hub.small("config.json", "{}").large("model.safetensors", large.clone());
    let place = Place::new(&hub);
    place.lock("main", &["path = \"config.json\"", "path = \"model.safetensors\""]);
    (hub, place, large)
}

#[test]
fn files_land_in_the_standard_layout_and_the_folder_is_printed() {
    let (hub, place, large) = one();
    let outcome = place.run(&["fetch", "net"]);
    outcome.says(0, &[]);
    assert_eq!(outcome.stdout.trim(), place.snapshot().to_str().unwrap());
    assert_eq!(std::fs::read(place.snapshot().join("model.safetensors")).unwrap(), large);
    let link = std::fs::read_link(place.snapshot().join("model.safetensors")).unwrap();
    assert_eq!(link.to_str().unwrap(), format!("../../blobs/{}", sha256(&large)));
    let branch = std::fs::read_to_string(place.repository().join("refs/main")).unwrap();
    assert_eq!(branch, Hub::COMMIT);
    let blobs = std::fs::read_dir(place.repository().join("blobs")).unwrap().count();
    assert_eq!(blobs, 2, "nothing unfinished is left");
    assert_eq!(hub.log(), ["HEAD config.json", "HEAD model.safetensors", "GET config.json", "GET model.safetensors"]);
}

#[test]
fn what_was_found_is_written_only_with_consent() {
    let (_hub, place, large) = one();
    let lock = place.path("locks/net.toml");
    let before = std::fs::read_to_string(&lock).unwrap();
    place.run(&["fetch", "net"]).says(0, &["--yes would write", &sha256(&large), Hub::COMMIT]);
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), before);

    place.run(&["fetch", "net", "--yes"]).says(0, &["digests are written"]);
    let after = std::fs::read_to_string(&lock).unwrap();
    assert!(after.contains(&sha256(b"{}")) && after.contains(&sha256(&large)), "{after}");
    assert!(after.contains(&format!("revision = \"{}\"", Hub::COMMIT)), "{after}");
}

#[test]
fn a_second_fetch_downloads_nothing_and_a_pinned_one_asks_nothing() {
    let (hub, place, _) = one();
    place.run(&["fetch", "net"]).says(0, &[]);
    hub.log();
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    assert_eq!(hub.log(), ["HEAD config.json", "HEAD model.safetensors"]);
    place.run(&["fetch", "net"]).says(0, &["already in the cache"]);
    assert_eq!(hub.log(), Vec::<String>::new());
}

#[test]
fn offline_uses_the_cache_or_says_what_it_lacks() {
    let (hub, place, _) = one();
    place.run(&["fetch", "net", "--offline"]).says(1, &["is not in the cache", "hint: "]);
    place.run(&["fetch", "net"]).says(0, &[]);
    hub.log();
    place.run(&["fetch", "net", "--offline"]).says(0, &[place.snapshot().to_str().unwrap()]);
    let variable = [("HF_HUB_OFFLINE", "1")];
    place.run_with(&["fetch", "net"], &variable).says(0, &[place.snapshot().to_str().unwrap()]);
    std::fs::remove_file(place.snapshot().join("config.json")).unwrap();
    place.run(&["fetch", "net", "--offline"]).says(1, &["lacks 1 of the files", "config.json"]);
    assert_eq!(hub.log(), Vec::<String>::new());
}

#[test]
fn an_index_brings_the_shards_that_it_names() {
    let hub = Hub::start();
    let index = r#"{"metadata":{},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}"#;
    hub.small("x/m.safetensors.index.json", index);
    hub.large("x/m-1.safetensors", weights("a", 100)).large("x/m-2.safetensors", weights("b", 200));
    let place = Place::new(&hub);
    place.lock("main", &["path = \"x/m.safetensors.index.json\""]);
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    assert!(place.snapshot().join("x/m-2.safetensors").exists());
    let lock = std::fs::read_to_string(place.path("locks/net.toml")).unwrap();
    assert!(lock.contains("x/m-1.safetensors") && lock.contains("x/m-2.safetensors"), "{lock}");
    place.run(&["verify", "net"]).says(0, &["2 tensors in 2 shards"]);
}

#[test]
fn an_optional_file_may_be_absent() {
    let hub = Hub::start();
    hub.small("config.json", "{}");
    let place = Place::new(&hub);
    let lock = ["path = \"config.json\"", "path = \"generation_config.json\"\noptional = true"];
    place.lock("main", &lock);
    place.run(&["fetch", "net", "--yes"]).says(0, &[]);
    hub.log();
    place.run(&["fetch", "net"]).says(0, &[]);
    assert_eq!(hub.log(), Vec::<String>::new(), "its absence at the commit is known");
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let (hub, place, _) = one();
    hub.fault("GET", "model.safetensors", crate::support::Fault::Status(500, ""));
    let variables = [("HF_TOKEN", Hub::TOKEN), ("RUST_LOG", "trace")];
    let outcome = place.run_with(&["fetch", "net"], &variables);
    outcome.says(0, &[]);
    assert!(hub.known() && !hub.leaked());
    assert!(!format!("{outcome:?}").contains(Hub::TOKEN));
}

#[test]
fn a_pytorch_file_comes_with_the_command_that_converts_it() {
    let hub = Hub::start();
    hub.large("pytorch_model.bin", "x");
    let place = Place::new(&hub);
    place.lock("main", &["path = \"pytorch_model.bin\""]);
    place.run(&["fetch", "net"]).says(0, &["glassctl models convert"]);
}
