//! Where the hub and its cache are, from the variables that Hugging Face's own tools read.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::Explain;
use url::Url;

const ENDPOINT: &str = "https://huggingface.co";

/// An access token; it is never printed.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// For the header of a request, and nothing else.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the environment says about the hub.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `HF_ENDPOINT`, or the public hub.
    pub(super) endpoint: Url,
    /// `HF_HUB_CACHE`, or `hub` in the home folder of Hugging Face.
    pub(super) cache: PathBuf,
    /// `HF_TOKEN`, or the file that `hf auth login` writes.
    pub(super) token: Option<Token>,
    /// `HF_HUB_OFFLINE`.
    pub(super) offline: bool,
}

impl Settings {
    /// Reads the environment of this process; `cache` wins over it.
    pub(super) fn from_environment(cache: Option<&Path>) -> anyhow::Result<Self> {
        Self::from_variables(cache, |name| std::env::var(name).ok())
    }

    fn from_variables(cache: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = home(&variable);
        let cache = match (cache, variable("HF_HUB_CACHE"), &home) {
            (Some(cache), _, _) => cache.to_owned(),
            (None, Some(cache), _) => cache.into(),
            (None, None, Some(home)) => home.join("hub"),
            (None, None, None) => {
                return Err(anyhow::anyhow!("no folder to keep downloads in: `HOME` is not set"))
                    .blame_user()
                    .hint("give one with --cache, HF_HOME or HF_HUB_CACHE");
            }
        };
        Ok(Self {
            endpoint: endpoint(variable("HF_ENDPOINT").as_deref())?,
            cache,
            token: token(&variable, home.as_deref()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
        })
    }
}

/// `HF_HOME`, or `huggingface` in the user's cache folder.
fn home(variable: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let explicit = variable("HF_HOME").map(PathBuf::from);
    let caches = || match variable("XDG_CACHE_HOME") {
        Some(caches) => Some(PathBuf::from(caches)),
        None => variable("HOME").map(|home| Path::new(&home).join(".cache")),
    };
    explicit.or_else(|| caches().map(|caches| caches.join("huggingface")))
}

fn endpoint(given: Option<&str>) -> anyhow::Result<Url> {
    let text = given.unwrap_or(ENDPOINT);
    let refuse = || format!("`HF_ENDPOINT` is `{text}`, which is no address of a hub");
    let url = Url::parse(text).with_context(refuse);
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    url.and_then(|url| match usable(&url) {
        true => Ok(url),
        false => Err(anyhow::anyhow!(refuse())),
    })
    .blame_user()
    .hint(format!("write it like {ENDPOINT}"))
}

fn token(variable: &impl Fn(&str) -> Option<String>, home: Option<&Path>) -> Option<Token> {
    let from_file = || {
        let path = match variable("HF_TOKEN_PATH") {
            Some(path) => PathBuf::from(path),
            None => home?.join("token"),
        };
        std::fs::read_to_string(path).ok()
    };
    let text = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")).or_else(from_file)?;
    let text = text.trim();
    (!text.is_empty()).then(|| Token(text.to_owned()))
}

fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::Settings;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::from_variables(None, find).unwrap()
    }

    #[test]
    fn the_cache_is_where_the_variables_put_it() {
        let cache = |variables: &[(&str, &str)]| settings(variables).cache;
        assert_eq!(cache(&[("HOME", "/h")]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), Path::new("/c/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/f"), ("HOME", "/h")]), Path::new("/f/hub"));
        assert_eq!(cache(&[("HF_HUB_CACHE", "/x"), ("HF_HOME", "/f")]), Path::new("/x"));
    }

    #[test]
    fn the_token_is_found_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let from_file = settings(&[("HF_HOME", home)]);
        assert_eq!(from_file.token.as_ref().unwrap().secret(), "hf_file");
        let from_variable = settings(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]);
        assert_eq!(from_variable.token.as_ref().unwrap().secret(), "hf_variable");
        assert!(!format!("{from_variable:?}").contains("hf_variable"));
    }

    #[test]
    fn a_wrong_endpoint_is_refused() {
        for value in ["huggingface.co", "ftp://huggingface.co"] {
            let variable = |name: &str| match name {
                "HF_ENDPOINT" => Some(value.to_owned()),
                _ => Some("/h".to_owned()),
            };
            let error = Settings::from_variables(None, variable).unwrap_err();
            assert!(glass_stage::render(&error).contains("HF_ENDPOINT"), "{error:#}");
        }
    }
}
