//! `glassctl models fetch` when something goes wrong.

use crate::support::{Fault, Hub, Place, sha256, weights};

const FILE: &str = "model.safetensors";

/// A hub with one large file and an unpinned lock file for it.
fn one() -> (Hub, Place, Vec<u8>) {
    let hub = Hub::start();
    let large = weights("w", 300_000);
    hub.large(FILE, large.clone());
    let place = Place::new(&hub);
    place.lock("main", &["path = \"model.safetensors\""]);
    (hub, place, large)
}

fn whole(place: &Place) -> Vec<u8> {
    std::fs::read(place.snapshot().join(FILE)).unwrap()
}

/// Nothing in the cache passes for the file.
fn nothing_kept(place: &Place) {
    assert!(!place.snapshot().join(FILE).exists());
    let blobs = place.repository().join("blobs");
    let names: Vec<_> =
        std::fs::read_dir(blobs).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_cut_line_is_taken_up_where_it_broke() {
    let (hub, place, large) = one();
    hub.fault("GET", FILE, Fault::Cut(100_000)).fault("GET", FILE, Fault::Cut(50_000));
    place.run(&["fetch", "net"]).says(0, &["trying again"]);
    assert_eq!(whole(&place), large);
    assert_eq!(
        hub.log()[1..],
        ["GET model.safetensors", "GET model.safetensors from 100000", "GET model.safetensors from 150000"]
    );
}

#[test]
fn another_process_goes_on_where_one_gave_up() {
    let (hub, place, large) = one();
    hub.fault("GET", FILE, Fault::Cut(100_000)).fault("GET", FILE, Fault::Cut(0));
    place
        .run(&["fetch", "net", "--retries", "0"])
        .says(2, &["connection to the hub broke", "goes on where it stopped"]);
    hub.fault("GET", FILE, Fault::Status(503, ""));
    hub.log();
    place.run(&["fetch", "net"]).says(0, &[]);
    assert_eq!(whole(&place), large);
    assert!(hub.log()[1..].iter().all(|line| line.ends_with("from 100000")));
}

#[test]
fn a_signal_keeps_what_has_arrived() {
    let (hub, place, large) = one();
    hub.fault("GET", FILE, Fault::Stall(100_000));
    let mut program = place.command(&["fetch", "net"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let part = place.repository().join("blobs").join(format!("{}.incomplete", sha256(&large)));
    let arrived = || part.metadata().is_ok_and(|part| part.len() == 100_000);
    let tries = (0..200).find(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        arrived()
    });
    let killed = std::process::Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(tries.is_some() && killed.success());
    assert_eq!(program.wait().unwrap().code(), Some(75));
    hub.log();
    place.run(&["fetch", "net"]).says(0, &["going on"]);
    assert_eq!(whole(&place), large);
    assert_eq!(hub.log()[1..], ["GET model.safetensors from 100000"]);
}

#[test]
fn a_damaged_part_of_an_earlier_try_is_thrown_away() {
    let (hub, place, large) = one();
    let part = place.repository().join("blobs").join(format!("{}.incomplete", sha256(&large)));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, vec![0; 1000]).unwrap();
    place.run(&["fetch", "net"]).says(0, &["starting again"]);
    assert_eq!(whole(&place), large);
    assert_eq!(hub.log()[1..], ["GET model.safetensors from 1000", "GET model.safetensors"]);
}

#[test]
fn silence_ends_in_an_error() {
    let (hub, place, large) = one();
    hub.fault("GET", FILE, Fault::Stall(10)).fault("GET", FILE, Fault::Stall(0));
    let flags = ["fetch", "net", "--timeout", "1", "--retries", "0"];
    place.run(&flags).says(2, &["no byte from the hub for 1 s", FILE, "--offline"]);
    place.run(&["fetch", "net", "--timeout", "1"]).says(0, &["trying again"]);
    assert_eq!(whole(&place), large);
}

#[test]
fn a_gated_repository_says_what_to_do() {
    let (hub, place, _) = one();
    hub.fault("HEAD", FILE, Fault::Status(403, "x-error-code: GatedRepo\r\n"));
    place.run(&["fetch", "net"]).says(1, &["`owner/name` is gated", "accept the licence at http", "HF_TOKEN"]);
    hub.fault("HEAD", FILE, Fault::Status(401, ""));
    place.run(&["fetch", "net"]).says(1, &["refused access to `owner/name`", "HF_TOKEN"]);
    assert_eq!(hub.log().len(), 2, "asking again would not help");
}

#[test]
fn what_is_not_there_is_named() {
    let (hub, place, _) = one();
    place.lock("main", &["path = \"other.json\""]);
    place.run(&["fetch", "net"]).says(1, &["no file `other.json` in `owner/name` at `main`"]);
    place.lock("main", &["path = \"model.safetensors\""]);
    hub.fault("HEAD", FILE, Fault::Status(404, "x-error-code: RevisionNotFound\r\n"));
    place.run(&["fetch", "net"]).says(1, &["no revision `main`"]);
    place.run(&["fetch", "nett"]).says(1, &["no lock file called `nett`", "known: net"]);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let (hub, place, large) = one();
    hub.fault("HEAD", FILE, Fault::Status(429, "retry-after: 0\r\n")).fault("GET", FILE, Fault::Status(500, ""));
    place.run(&["fetch", "net"]).says(0, &["429", "500"]);
    assert_eq!(whole(&place), large);
    let (hub, place, _) = one();
    for _ in 0..2 {
        hub.fault("HEAD", FILE, Fault::Status(429, "retry-after: 0\r\n"));
    }
    place.run(&["fetch", "net", "--retries", "1"]).says(2, &["answered 429", "too many requests"]);
}

#[test]
fn bytes_that_are_not_those_stated_are_not_kept() {
    let (hub, place, large) = one();
    hub.fault("GET", FILE, Fault::Lie);
    place.run(&["fetch", "net"]).says(2, &["arrived damaged", FILE, &sha256(&large), "found `"]);
    nothing_kept(&place);
}

#[test]
fn a_digest_other_than_the_locks_is_an_error_before_the_download() {
    let (hub, place, large) = one();
    let other = sha256(b"other");
    place.lock("main", &[&format!("path = \"model.safetensors\"\nsha256 = \"{other}\"")]);
    place.run(&["fetch", "net"]).says(1, &["the lock file expects", FILE, &other, &sha256(&large)]);
    assert_eq!(hub.log(), ["HEAD model.safetensors"]);
    nothing_kept(&place);
}

#[test]
fn a_small_file_with_another_digest_is_not_kept() {
    let hub = Hub::start();
    hub.small(FILE, "{}");
    let place = Place::new(&hub);
    let other = sha256(b"other");
    place.lock("main", &[&format!("path = \"model.safetensors\"\nsha256 = \"{other}\"")]);
    place.run(&["fetch", "net"]).says(1, &["the lock file expects", &other, &sha256(b"{}")]);
    nothing_kept(&place);
}

#[test]
fn no_hub_at_all_is_said_plainly() {
    let (_hub, place, _) = one();
    let nobody = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    let outcome = place.run_with(&["fetch", "net", "--retries", "0"], &nobody);
    outcome.says(2, &["cannot connect to the hub", "--offline"]);
    place.run_with(&["fetch", "net"], &[("HF_ENDPOINT", "nonsense")]).says(1, &["HF_ENDPOINT"]);
}

#[test]
fn a_lock_file_with_a_misspelt_key_is_refused() {
    let (_hub, place, _) = one();
    place.lock("main", &["path = \"a\"\nsha265 = \"00\""]);
    place.run(&["fetch", "net"]).says(1, &["net.toml", "did you mean `sha256`?"]);
}
