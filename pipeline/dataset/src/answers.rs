//! What a store's answer means: whether to ask again, who has to act, and how.

use std::error::Error as StdError;
use std::io;

/// Whether a store's answer may be another one next time.
pub(crate) fn is_transient(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { source, .. } => match io_kind(source.as_ref()) {
            Some(kind) => !is_denial(kind) && !is_full(error) && !is_wrong_address(error),
            None => !is_refusal(error) && !is_wrong_address(error),
        },
        object_store::Error::JoinError { .. } => true,
        _ => false,
    }
}

/// Whether there is no room left on the disk.
pub(crate) fn is_full(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { source, .. } => {
            io_kind(source.as_ref()) == Some(io::ErrorKind::StorageFull)
        }
        _ => false,
    }
}

/// Whether the store refuses this user.
pub(crate) fn is_denied(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => true,
        object_store::Error::Generic { source, .. } => {
            io_kind(source.as_ref()).is_some_and(is_denial) || matches!(status(error), Some(401 | 403))
        }
        _ => false,
    }
}

/// Whether what was asked for is not there. In a listing that is the bucket.
pub(crate) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) || status(error) == Some(404)
}

/// What the user can do about an answer that no waiting changes.
pub(crate) fn advice(error: &object_store::Error) -> Option<&'static str> {
    let said = words(error);
    let says = |what: &str| said.contains(what);
    Some(if is_full(error) {
        "the disk is full: free some space and run the same command again; nothing was lost"
    } else if is_other_region(&said) {
        "the bucket is in another region: set AWS_REGION to the one that the answer names, or to that of the bucket"
    } else if ["latest/api/token", "computeMetadata", "metadata/identity"].iter().any(|place| says(place)) {
        "no credentials are set, and this machine has no role that gives some: set the cloud's variables or make its usual file"
    } else if says("URL scheme is not allowed") {
        "the endpoint is plain HTTP: give it as `store.endpoint` in the run spec, or set AWS_ALLOW_HTTP=true (S3) or AZURE_ALLOW_HTTP=true (Azure)"
    } else if is_plain_port(&said) {
        "what answers there speaks no TLS: an endpoint without TLS begins with `http://`"
    } else if is_tls_port(&said) {
        "what answers there speaks TLS: its address begins with `https://`"
    } else if says("certificate") {
        "the server's certificate is not trusted here: set SSL_CERT_FILE to the authority's certificate"
    } else if says("dns error") {
        "no such host: check the endpoint (`store.endpoint`, AWS_ENDPOINT_URL, AZURE_STORAGE_ENDPOINT) and, without one, the region or the account"
    } else if says("Connection refused") {
        "nothing listens there: check the endpoint (`store.endpoint`, AWS_ENDPOINT_URL, AZURE_STORAGE_ENDPOINT) and the proxy"
    } else {
        return None;
    })
}

/// Answers that say that the address has to change.
fn is_wrong_address(error: &object_store::Error) -> bool {
    let said = words(error);
    said.contains("URL scheme is not allowed") || is_plain_port(&said) || is_tls_port(&said) || is_other_region(&said)
}

fn is_other_region(said: &str) -> bool {
    ["redirect without LOCATION", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"]
        .iter()
        .any(|sign| said.contains(sign))
}

fn is_plain_port(said: &str) -> bool {
    ["InvalidContentType", "corrupt message", "wrong version number"].iter().any(|sign| said.contains(sign))
}

fn is_tls_port(said: &str) -> bool {
    ["HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port", "invalid HTTP version parsed"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// Whether the store understood and will say the same again.
fn is_refusal(error: &object_store::Error) -> bool {
    // Too early, too long, too many: these pass.
    status(error).is_some_and(|status| (400..500).contains(&status) && ![408, 409, 425, 429].contains(&status))
}

/// The HTTP status of an answer. Of a listing's the client tells no kind, and its type is private to it, so the
/// number is taken from its words.
fn status(error: &object_store::Error) -> Option<u16> {
    let said = words(error);
    let (_, rest) = said.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// All that an error and its causes say.
fn words(error: &object_store::Error) -> String {
    let first: &dyn StdError = error;
    let causes = std::iter::successors(Some(first), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn is_denial(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
    )
}

/// The kind of the file system's error below a store's, which the store wraps several times.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(what: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: what.to_owned().into() }
    }

    #[test]
    fn the_status_of_a_listing_decides() {
        let listing = |code: &str| said(&format!("Error performing list request: Server returned non-2xx status code: {code}: <Error/>"));
        assert!(is_denied(&listing("403 Forbidden")) && !is_transient(&listing("403 Forbidden")));
        assert!(is_missing(&listing("404 Not Found")) && !is_transient(&listing("404 Not Found")));
        assert!(!is_transient(&listing("400 Bad Request")));
        for passing in ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"] {
            assert!(is_transient(&listing(passing)) && !is_denied(&listing(passing)), "{passing}");
        }
    }

    #[test]
    fn an_address_that_is_wrong_is_not_asked_again() {
        for what in ["received corrupt message of type InvalidContentType", "URL scheme is not allowed", "<Code>PermanentRedirect</Code>"] {
            assert!(!is_transient(&said(what)) && advice(&said(what)).is_some(), "{what}");
        }
        // A server that is away may come back.
        assert!(is_transient(&said("tcp connect error: Connection refused")));
    }
}
