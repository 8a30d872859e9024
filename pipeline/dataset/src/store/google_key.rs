//! Google's key files, looked at before the store's client reads them: its own messages name neither the file
//! nor the field, and some of them show what stands there.

use std::path::PathBuf;

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey, ServiceAccountKey};
use serde_json::{Map, Value};

/// Where the command line of Google keeps the credentials of a user, below the home folder.
const USUAL: &str = ".config/gcloud/application_default_credentials.json";
/// Fields of a service account's key, each a text.
const SERVICE_ACCOUNT: [&str; 3] = ["client_email", "private_key_id", "private_key"];
/// Fields of a user's credentials, each a text.
const AUTHORIZED_USER: [&str; 3] = ["client_id", "client_secret", "refresh_token"];
/// Kinds of credentials that Google has and the client has not.
const UNKNOWN_HERE: [&str; 4] =
    ["external_account", "external_account_authorized_user", "impersonated_service_account", "gdch_service_account"];

/// Who says what kind of key it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Where it was given: a service account's.
    Given,
    /// Its field `type`.
    Told,
}

/// Looks at the key that the client will use, if it will use one, and gives the endpoint that stands in it.
///
/// # Errors
/// What is wrong, with the name of the file or variable and the field, and nothing of what stands there.
pub(super) fn check(builder: &GoogleCloudStorageBuilder) -> Result<Option<String>, String> {
    let value = |key: GoogleConfigKey| builder.get_config_value(&key);
    let (path, inline) = (value(GoogleConfigKey::ServiceAccount), value(GoogleConfigKey::ServiceAccountKey));
    match (path, inline) {
        (Some(_), Some(_)) => {
            Err("`GOOGLE_SERVICE_ACCOUNT` and `GOOGLE_SERVICE_ACCOUNT_KEY` are both set; set one of them".to_owned())
        }
        (Some(path), None) => file(&path.into(), Kind::Given),
        (None, Some(text)) => document("the key in `GOOGLE_SERVICE_ACCOUNT_KEY`", &text, Kind::Given),
        (None, None) if value(GoogleConfigKey::BearerToken).is_some() => Ok(None),
        (None, None) => match value(GoogleConfigKey::ApplicationCredentials) {
            Some(path) => file(&path.into(), Kind::Told),
            None => usual().map_or(Ok(None), |path| file(&path, Kind::Told)),
        },
    }
}

fn usual() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(USUAL);
    path.exists().then_some(path)
}

fn file(path: &PathBuf, kind: Kind) -> Result<Option<String>, String> {
    let named = format!("the key file `{}`", path.display());
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {named}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{named} is no text"))?;
    document(&named, &text, kind)
}

fn document(named: &str, text: &str, kind: Kind) -> Result<Option<String>, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("{named} is no JSON: line {}, column {}", error.line(), error.column()))?;
    let Value::Object(fields) = value else {
        return Err(format!("{named} holds no JSON object"));
    };
    let told = match kind {
        Kind::Given => "service_account",
        Kind::Told => self::text(named, &fields, "type")?,
    };
    match told {
        "service_account" => service_account(named, &fields),
        "authorized_user" => {
            AUTHORIZED_USER.iter().try_for_each(|field| self::text(named, &fields, field).map(drop))?;
            Ok(None)
        }
        told if UNKNOWN_HERE.contains(&told) => {
            Err(format!("`type` of {named} is `{told}`: only `service_account` and `authorized_user` can be used"))
        }
        _ => Err(format!("`type` of {named} is neither `service_account` nor `authorized_user`")),
    }
}

fn service_account(named: &str, fields: &Map<String, Value>) -> Result<Option<String>, String> {
    for field in SERVICE_ACCOUNT {
        text(named, fields, field)?;
    }
    let endpoint = match fields.get("gcs_base_url") {
        None | Some(Value::Null) => None,
        Some(_) => Some(text(named, fields, "gcs_base_url")?.to_owned()),
    };
    let unused = match fields.get("disable_oauth") {
        None => false,
        Some(Value::Bool(unused)) => *unused,
        Some(_) => return Err(format!("`disable_oauth` of {named} is neither true nor false")),
    };
    // The client looks at the key only then, too.
    if !unused && ServiceAccountKey::from_pem(text(named, fields, "private_key")?.as_bytes()).is_err() {
        return Err(format!("`private_key` of {named} is no RSA key in PEM form"));
    }
    Ok(endpoint)
}

fn text<'a>(named: &str, fields: &'a Map<String, Value>, field: &str) -> Result<&'a str, String> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("`{field}` of {named} is no text")),
        None => Err(format!("{named} has no `{field}`")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SECRET: &str = "hunter2";

    fn refused(text: &str, kind: Kind) -> String {
        let message = document("the key file `k.json`", text, kind).unwrap_err();
        assert!(message.contains("the key file `k.json`") && !message.contains(SECRET), "{message}");
        message
    }

    #[test]
    fn what_is_wrong_with_a_key_is_named_and_not_shown() {
        for (text, said) in [
            ("hunter2", "is no JSON: line 1, column 1"),
            ("\"hunter2\"", "holds no JSON object"),
            (r#"{"private_key": "hunter2"}"#, "has no `client_email`"),
            (r#"{"client_email": "a", "private_key_id": "b", "private_key": {"hunter2": 1}}"#, "`private_key` of"),
            (r#"{"client_email": "a", "private_key_id": "b", "private_key": "hunter2"}"#, "no RSA key in PEM form"),
            (
                r#"{"client_email": "a", "private_key_id": "b", "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"}"#,
                "no RSA key in PEM form",
            ),
            (
                r#"{"client_email": "a", "private_key_id": "b", "private_key": "c", "disable_oauth": "hunter2"}"#,
                "`disable_oauth` of",
            ),
        ] {
            let message = refused(text, Kind::Given);
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn the_kind_of_a_key_that_tells_it_decides() {
        for (text, said) in [
            (r#"{"private_key": "hunter2"}"#, "has no `type`"),
            (r#"{"type": "hunter2"}"#, "neither `service_account` nor `authorized_user`"),
            (r#"{"type": "external_account", "audience": "hunter2"}"#, "is `external_account`: only"),
            (r#"{"type": "authorized_user", "client_secret": "hunter2", "client_id": "a"}"#, "has no `refresh_token`"),
        ] {
            let message = refused(text, Kind::Told);
            assert!(message.contains(said), "{message}");
        }
        let user = r#"{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}"#;
        assert_eq!(document("it", user, Kind::Told), Ok(None));
    }

    #[test]
    fn a_key_may_say_where_the_server_is_and_that_it_asks_for_none() {
        let key = r#"{"client_email": "", "private_key_id": "", "private_key": "", "disable_oauth": true, "gcs_base_url": "http://127.0.0.1:1"}"#;
        assert_eq!(document("it", key, Kind::Given), Ok(Some("http://127.0.0.1:1".to_owned())));
    }
}
