//! Credentials from the files that the AWS command line keeps, for users who have no variables set.
//!
//! The object store's own client knows variables, instance roles and web identities, not these files.

use std::collections::HashMap;
use std::path::PathBuf;

/// What a profile says, under the names of the files.
#[derive(Default)]
pub(super) struct Profile(HashMap<String, String>);

impl Profile {
    /// The profile that the environment names (`AWS_PROFILE`, else `default`) in `credentials` and
    /// `config`; empty where there is none.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let file = |named: &str, usual: &str| {
            let usual = || Some(PathBuf::from(variable("HOME")?).join(".aws").join(usual));
            let path = variable(named).map(PathBuf::from).or_else(usual)?;
            std::fs::read_to_string(path).ok()
        };
        let mut values = HashMap::new();
        if let Some(text) = file("AWS_CONFIG_FILE", "config") {
            // Only here other profiles than the default one are called `profile NAME`.
            values.extend(section(&text, &name));
            values.extend(section(&text, &format!("profile {name}")));
        }
        if let Some(text) = file("AWS_SHARED_CREDENTIALS_FILE", "credentials") {
            values.extend(section(&text, &name));
        }
        Self(values)
    }

    /// Access key, secret and, for temporary ones, the session token.
    pub(super) fn credentials(&self) -> Option<(&str, &str, Option<&str>)> {
        let key = self.get("aws_access_key_id")?;
        let secret = self.get("aws_secret_access_key")?;
        Some((key, secret, self.get("aws_session_token")))
    }

    pub(super) fn region(&self) -> Option<&str> {
        self.get("region")
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The `key = value` lines below `[name]`.
fn section(text: &str, name: &str) -> HashMap<String, String> {
    let mut inside = false;
    let mut values = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = head.trim() == name;
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !line.starts_with(['#', ';'])
        {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn profile(name: Option<&str>) -> Profile {
        let folder = tempfile::tempdir().unwrap();
        let aws = folder.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile lab]\nregion=eu-north-1\n";
        std::fs::write(aws.join("config"), config).unwrap();
        let keys = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key = B\n\n[lab]\naws_access_key_id = C\naws_secret_access_key = D\naws_session_token = E\n";
        std::fs::write(aws.join("credentials"), keys).unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Profile::from_environment(|variable| match variable {
            "HOME" => Some(home.clone()),
            "AWS_PROFILE" => name.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn the_default_profile_and_a_named_one() {
        let default = profile(None);
        assert_eq!(default.credentials(), Some(("A", "B", None)));
        assert_eq!(default.region(), Some("eu-west-1"));
        let lab = profile(Some("lab"));
        assert_eq!(lab.credentials(), Some(("C", "D", Some("E"))));
        assert_eq!(lab.region(), Some("eu-north-1"));
    }

    #[test]
    fn a_profile_that_is_not_there_says_nothing() {
        let none = profile(Some("other"));
        assert_eq!(none.credentials(), None);
        assert_eq!(none.region(), None);
    }
}
