//! Addresses as they may be shown, and those that are refused because they carry a secret.

/// An address without what may be a secret: user name, password, query and fragment.
pub(super) fn shown(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Refuses an address that carries credentials: addresses are printed, credentials must not be.
///
/// # Errors
/// What is wrong, without the secret.
pub(super) fn refuse_secrets(what: &str, address: &str) -> Result<(), String> {
    // A plain path may hold any character.
    if !address.contains("://") || shown(address) == address {
        return Ok(());
    }
    Err(format!(
        "{what} `{}` has a user name, a password or a query; credentials belong into the environment",
        shown(address)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (given, expected) in [
            ("s3://key:secret@bucket/a/b", "s3://bucket/a/b"),
            ("az://container/a?sig=secret&se=1", "az://container/a"),
            ("http://u:p@ss@proxy:80", "http://proxy:80"),
            ("gs://bucket#secret", "gs://bucket"),
        ] {
            assert_eq!(shown(given), expected);
            let refused = refuse_secrets("the URI", given);
            assert!(refused.is_err_and(|message| !message.contains("secret") && !message.contains("p@ss")));
        }
    }

    #[test]
    fn what_has_no_secret_stays_as_it_is() {
        for given in ["s3://bucket/a@b/c", "folder/a?b", "file:///a/b", "http://127.0.0.1:80"] {
            assert_eq!(refuse_secrets("the URI", given), Ok(()));
        }
    }
}
