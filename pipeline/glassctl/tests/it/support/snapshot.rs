//! Output compared with a checked-in file; `UPDATE_SNAPSHOTS=1` writes it anew.

use std::path::Path;

use super::Outcome;

/// A value that differs from run to run: what stands between these.
pub struct Masked {
    pub after: &'static str,
    pub until: &'static str,
}

/// Compares exit code and standard output. What differs from run to run is masked: names of attempts and
/// the folder of the store. What a name calls JSON must be one document and nothing else.
#[track_caller]
pub fn check(name: &str, outcome: &Outcome, folder: &Path) {
    check_masked(name, outcome, folder, &[]);
}

/// The same with more that differs from run to run.
#[track_caller]
pub fn check_masked(name: &str, outcome: &Outcome, folder: &Path, masked: &[Masked]) {
    if name.ends_with("-json") {
        let document = serde_json::from_str::<serde_json::Value>(&outcome.stdout);
        assert!(document.is_ok(), "{name}: {document:?} in {outcome:?}");
    }
    let folder = folder.to_str().unwrap();
    let text = format!("exit {}\n{}", outcome.code, outcome.stdout.replace(folder, "<store>"));
    let text = masked.iter().fold(mask_attempts(&text), |text, masked| mask(&text, masked));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} ({})", path.display(), outcome.stderr);
}

/// Replaces `01234567-0123456789abcdef` by `<attempt>`.
fn mask_attempts(text: &str) -> String {
    let is_attempt = |piece: &str| {
        piece.is_ascii()
            && piece.len() == 25
            && piece.bytes().enumerate().all(|(place, byte)| match place {
                8 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..25).filter(|piece| is_attempt(piece)) {
            Some(_) => {
                masked.push_str("<attempt>");
                rest = &rest[25..];
            }
            None => {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    masked
}

/// Replaces every such value by `<masked>`.
fn mask(text: &str, Masked { after, until }: &Masked) -> String {
    let mut pieces = text.split(after);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.find(until).map_or("", |end| &piece[end..]);
        masked += &format!("{after}<masked>{rest}");
    }
    masked
}
