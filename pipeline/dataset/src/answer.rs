//! What a store's answer means: whether to ask again, who has to act, and how.

use std::error::Error as StdError;
use std::{fmt, io};

/// Longest part of an answer that is no XML and is shown.
const SHOWN: usize = 200;

/// What a store answered, as people are told it: the request, what came back and why, each once. The client's own
/// words repeat themselves and hold whole documents.
#[derive(Debug)]
pub struct Answer(object_store::Error);

impl Answer {
    pub(crate) fn error(&self) -> &object_store::Error {
        &self.0
    }
}

impl From<object_store::Error> for Answer {
    fn from(error: object_store::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = messages(&self.0);
        let said = match (answered(&messages), unanswered(&messages)) {
            (Some(answered), _) => format!("answered {answered}"),
            (None, Some(reason)) => format!("no answer: {reason}"),
            (None, None) => match messages.last() {
                Some(last) if request(&messages).is_some() => last.clone(),
                _ => return f.write_str(told(&self.0).trim_start_matches("Generic LocalFileSystem error: ")),
            },
        };
        match request(&messages) {
            Some(request) => write!(f, "`{request}`: {said}"),
            None => f.write_str(&said),
        }
    }
}

/// The system's error, if it is one: all else is told.
impl StdError for Answer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        system_error(&self.0).map(|error| error as &(dyn StdError + 'static))
    }
}

/// An error with its causes on one line, nothing twice.
pub(crate) fn told(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for message in messages(error) {
        if !text.contains(&message) {
            text = if text.is_empty() { message } else { format!("{text}: {message}") };
        }
    }
    text
}

fn messages(error: &(dyn StdError + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

/// The method and the address.
fn request(messages: &[String]) -> Option<String> {
    let asked = messages.iter().flat_map(|message| message.split("Error performing ").skip(1));
    let mut requests = asked.filter(|asked| asked.starts_with(|first: char| first.is_ascii_uppercase()));
    let (request, _) = requests.next()?.split_once(" in ")?;
    Some(request.trim().to_owned())
}

/// The status, and the code and message of a document, or its beginning.
fn answered(messages: &[String]) -> Option<String> {
    let said = messages.iter().rev().find_map(|message| Some(message.split_once("non-2xx status code: ")?.1))?;
    let (status, body) = said.split_once(':').unwrap_or((said, ""));
    let tag = |name: &str| {
        Some(body.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0.trim().to_owned())
    };
    let parts: Vec<String> = ["Code", "Message"].iter().filter_map(|name| tag(name)).collect();
    let body = match parts.is_empty() {
        true => body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect(),
        false => parts.join(": "),
    };
    Some(if body.is_empty() { status.to_owned() } else { format!("{status}, {body}") })
}

/// Why a request was not answered.
fn unanswered(messages: &[String]) -> Option<String> {
    let sent = messages.iter().rposition(|message| message.ends_with("error sending request"))?;
    let reasons = &messages[sent + 1..];
    Some(if reasons.is_empty() { "error sending request".to_owned() } else { reasons.join(": ") })
}

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
        object_store::Error::Generic { source, .. } => io_kind(source.as_ref()) == Some(io::ErrorKind::StorageFull),
        _ => false,
    }
}

/// Whether the store refuses this user.
pub(crate) fn is_denied(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => true,
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
    } else if says("RequestTimeTooSkewed") {
        "the store refuses requests from another time: set this machine's clock"
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
    } else if ["Header missing from response", "Got invalid"].iter().any(|sign| says(sign)) {
        "what answers there does not speak as such a store does: check the endpoint"
    } else if says("connection closed before message completed") && says("http://") {
        "the connection was closed: the store may be busy, or speak TLS (the address of an endpoint with TLS begins with `https://`)"
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

/// Answers that say that the address, or what is set beside it, has to change.
pub(crate) fn is_wrong_address(error: &object_store::Error) -> bool {
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

/// Whether the store will say the same again. 400 is not among these: it is also what becomes of a request that
/// the network cut short.
fn is_refusal(error: &object_store::Error) -> bool {
    status(error).is_some_and(|status| [401, 403, 404, 405, 410, 413, 414, 501].contains(&status))
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
    messages(error).join(": ")
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
    system_error(error).map(io::Error::kind)
}

fn system_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(what: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: what.to_owned().into() }
    }

    #[test]
    fn the_status_of_a_listing_decides() {
        let listing = |code: &str| {
            said(&format!("Error performing list request: Server returned non-2xx status code: {code}: <Error/>"))
        };
        assert!(is_denied(&listing("403 Forbidden")) && !is_transient(&listing("403 Forbidden")));
        assert!(is_missing(&listing("404 Not Found")) && !is_transient(&listing("404 Not Found")));
        for passing in
            ["400 Bad Request", "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"]
        {
            assert!(is_transient(&listing(passing)) && !is_denied(&listing(passing)), "{passing}");
        }
    }

    #[test]
    fn people_are_told_each_thing_once() {
        let refused = "Error performing PUT http://s/b/k in 1.3ms - Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><RequestId>1</RequestId></Error>";
        assert_eq!(
            Answer(said(refused)).to_string(),
            "`PUT http://s/b/k`: answered 403 Forbidden, AccessDenied: Access Denied."
        );
        let page = "Error performing list request: Error performing GET http://s/b?list-type=2 in 1ms - Server returned non-2xx status code: 404 Not Found: <html>no\n such page</html>";
        assert_eq!(
            Answer(said(page)).to_string(),
            "`GET http://s/b?list-type=2`: answered 404 Not Found, <html>no such page</html>"
        );
        let full = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: io::Error::from(io::ErrorKind::StorageFull).into(),
        };
        let full = Answer(full);
        assert!(!full.to_string().contains("Generic") && full.source().is_some(), "{full}");
    }

    #[test]
    fn an_address_that_is_wrong_is_not_asked_again() {
        for what in [
            "received corrupt message of type InvalidContentType",
            "URL scheme is not allowed",
            "<Code>PermanentRedirect</Code>",
        ] {
            assert!(!is_transient(&said(what)) && advice(&said(what)).is_some(), "{what}");
        }
        // A server that is away may come back.
        assert!(is_transient(&said("tcp connect error: Connection refused")));
    }
}
