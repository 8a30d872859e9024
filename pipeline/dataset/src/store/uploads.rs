//! Uploads in parts that were never completed: a bucket keeps their parts, and bills them, until
//! somebody aborts them, and no listing of objects shows them.
//!
//! The object store's own interface has no request for them, so the listing is asked for through a URL
//! that its client signs. Azure drops such parts by itself after a week.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use serde::Deserialize;

use super::Store;
use crate::error::Result;

/// How long a signed URL is good for.
const SIGNED_FOR: Duration = Duration::from_secs(300);
/// Uploads listed at once.
const PAGE: &str = "1000";

/// A bucket that can be asked for its unfinished uploads. Never printed: its client holds credentials.
#[derive(Clone)]
pub(super) struct Uploads {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) client: HttpClient,
}

pub(super) trait Bucket: Signer + MultipartStore {}

impl<T: Signer + MultipartStore> Bucket for T {}

/// An upload that was begun and not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key it would have, below the store's root.
    pub key: String,
    /// The bucket's name for it.
    pub id: String,
    /// Seconds since 1970 of its beginning, by the store's clock.
    pub begun: i64,
}

/// One page of the answer, as S3 and Google write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    #[serde(default)]
    upload: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

impl Store {
    /// Uploads below the folder `prefix` that were not completed; none where the store has no such
    /// thing.
    ///
    /// # Errors
    /// The store's errors, without the signed address.
    pub async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let Some(uploads) = &self.uploads else {
            return Ok(Vec::new());
        };
        let folder = format!("{}/", self.path(prefix));
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let asked = self.retry.run(|| uploads.page(&folder, after.as_ref())).await;
            let answer = asked.map_err(|error| self.error(prefix, error))?;
            found.extend(answer.upload.into_iter().filter_map(|upload| self.ours(&folder, upload)));
            after = match (answer.is_truncated, answer.next_key_marker, answer.next_upload_id_marker) {
                (true, Some(key), Some(id)) => Some((key, id)),
                _ => return Ok(found),
            };
        }
    }

    /// One of ours, under its key below the store's root.
    fn ours(&self, folder: &str, upload: Upload) -> Option<UnfinishedUpload> {
        // Some servers list more than was asked for.
        upload.key.strip_prefix(folder)?;
        let path = Path::parse(&upload.key).ok()?;
        let below: Path = path.prefix_match(&self.prefix)?.collect();
        Some(UnfinishedUpload {
            key: below.to_string(),
            id: upload.upload_id,
            begun: DateTime::parse_from_rfc3339(&upload.initiated).ok()?.timestamp(),
        })
    }

    /// Aborts an upload; one that is gone is no error.
    ///
    /// # Errors
    /// The store's errors.
    pub(crate) async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        let Some(uploads) = &self.uploads else {
            return Ok(());
        };
        let path = self.path(&upload.key);
        match self.retry.run(|| uploads.bucket.abort_multipart(&path, &upload.id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(&upload.key, error)),
        }
    }
}

impl Uploads {
    async fn page(&self, folder: &str, after: Option<&(String, String)>) -> object_store::Result<Answer> {
        let mut query = vec![("uploads", ""), ("prefix", folder), ("max-uploads", PAGE)];
        if let Some((key, id)) = after {
            query.extend([("key-marker", key.as_str()), ("upload-id-marker", id.as_str())]);
        }
        let options = SignedUrlOptions::new().with_query(query);
        let root = Path::default();
        let url = self.bucket.signed_url_opts(Method::GET, &root, SIGNED_FOR, &options).await?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|_| failed("the signed address is none"))?;
        // The client's own words would show the address and with it the signature.
        let answer = self.client.execute(request).await;
        let answer = answer.map_err(|error| failed(&format!("no answer ({:?})", error.kind())))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|_| failed("the answer was cut off"))?;
        match status.as_u16() {
            200 => {}
            401 | 403 => {
                return Err(object_store::Error::PermissionDenied {
                    path: folder.to_owned(),
                    source: "listing unfinished uploads is not allowed".into(),
                });
            }
            code => return Err(failed(&format!("the store answered {code}"))),
        }
        let text = String::from_utf8_lossy(&body);
        quick_xml::de::from_str(&text).map_err(|error| failed(&error.to_string()))
    }
}

fn failed(what: &str) -> object_store::Error {
    object_store::Error::Generic { store: "uploads", source: format!("cannot list unfinished uploads: {what}").into() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_answer_is_read_with_and_without_uploads() {
        let empty = "<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        assert!(quick_xml::de::from_str::<Answer>(empty).unwrap().upload.is_empty());
        let two = "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker><IsTruncated>true</IsTruncated>\
            <Upload><Key>a&amp;b</Key><UploadId>1</UploadId><Initiator><ID>x</ID></Initiator><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>\
            <Upload><Key>c</Key><UploadId>2</UploadId><Initiated>2026-01-02T03:04:06Z</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        let answer: Answer = quick_xml::de::from_str(two).unwrap();
        assert!(answer.is_truncated);
        assert_eq!(answer.upload.iter().map(|upload| upload.key.as_str()).collect::<Vec<_>>(), ["a&b", "c"]);
    }
}
