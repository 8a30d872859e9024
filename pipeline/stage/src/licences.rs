//! What is known of the licences of a dataset's ingredients, for its card.

use std::collections::BTreeMap;
use std::path::Path;

use glass_schemas::manifest::Identity;
use glass_schemas::spec::RunSpec;

/// The licences of what a stage uses, by role: those of the datasets it reads, those that the spec
/// states, and for checkpoints the `license` in their folder's README.md.
pub fn licences(
    spec: &RunSpec,
    upstream: Option<&Identity>,
    source: Option<&str>,
    checkpoint: Option<(&str, &Path)>,
) -> BTreeMap<String, String> {
    let mut known = upstream.map(|identity| identity.licences.clone()).unwrap_or_default();
    let stated = |role: &str| spec.licences.get(role).cloned();
    if let Some(role) = source
        && let Some(licence) = stated(role)
    {
        known.insert(role.to_owned(), licence);
    }
    if let Some((role, folder)) = checkpoint
        && let Some(licence) = stated(role).or_else(|| of_folder(folder))
    {
        known.insert(role.to_owned(), licence);
    }
    known
}

/// `license:` of the head of a repository's README.md.
fn of_folder(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("README.md")).ok()?;
    let head = text.strip_prefix("---")?.split("\n---").next()?;
    let line = head.lines().find_map(|line| line.strip_prefix("license:"))?;
    let licence = line.trim().trim_matches(['"', '\'']);
    (!licence.is_empty()).then(|| licence.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_checkpoints_licence_is_what_the_spec_states_or_its_folder_says() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("README.md"),
            "---\ntags: [x]\nlicense: openrail++\n---\n# A model\nlicense: no\n",
        )
        .unwrap();
        let mut spec = RunSpec::parse("version = 1\nname = \"a\"", "test").unwrap();
        let of = |spec: &RunSpec| licences(spec, None, Some("source"), Some(("generator", folder.path())));
        assert_eq!(of(&spec), BTreeMap::from([("generator".to_owned(), "openrail++".to_owned())]));
        spec.licences.insert("generator".to_owned(), "MIT".to_owned());
        spec.licences.insert("source".to_owned(), "CC-BY-4.0".to_owned());
        assert_eq!(of(&spec)["generator"], "MIT");
        assert_eq!(of(&spec)["source"], "CC-BY-4.0");
    }
}
