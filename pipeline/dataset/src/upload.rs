//! Uploading an object whose size is not known before its end.

use bytes::Bytes;
use glass_schemas::ids::Digest;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::store::Store;

/// Size of a part. S3 takes 10,000 parts of at least 5 MiB: objects up to 80 GB.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once: what bounds the memory of an upload.
const PARTS_IN_FLIGHT: usize = 4;

/// One object on its way to a key that nobody else writes.
///
/// Up to [`PART_BYTES`] it is kept and put at once, with retries. Beyond that parts leave as they
/// fill; the client retries each part, and if one is lost for good the upload is aborted and the
/// rows have to be made again. Dropping it aborts it too, as far as a runtime is there to do so.
pub(crate) struct Upload {
    store: Store,
    key: String,
    hasher: Sha256,
    bytes: u64,
    buffered: Vec<Bytes>,
    parts: Option<WriteMultipart>,
}

impl Upload {
    pub(crate) fn new(store: Store, key: String) -> Self {
        Self { store, key, hasher: Sha256::new(), bytes: 0, buffered: Vec::new(), parts: None }
    }

    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<()> {
        self.hasher.update(&bytes);
        self.bytes += bytes.len() as u64;
        match self.parts {
            None => self.buffered.push(bytes),
            Some(_) => return self.push_part(bytes).await,
        }
        if self.bytes <= PART_BYTES as u64 {
            return Ok(());
        }
        self.start_parts().await?;
        for bytes in std::mem::take(&mut self.buffered) {
            self.push_part(bytes).await?;
        }
        Ok(())
    }

    /// Makes the object visible and returns its digest and size.
    pub(crate) async fn finish(mut self) -> Result<(Digest, u64)> {
        let digest = Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into());
        match self.parts.take() {
            // On failure this aborts the upload.
            Some(parts) => parts.finish().await.map(drop).map_err(|e| self.store.error(&self.key, e))?,
            None => self.put_whole().await?,
        }
        Ok((digest, self.bytes))
    }

    /// Drops what was sent so far.
    pub(crate) async fn abort(mut self) {
        if let Some(parts) = self.parts.take() {
            abort(parts, &self.key).await;
        }
    }

    async fn put_whole(&mut self) -> Result<()> {
        let payload: PutPayload = std::mem::take(&mut self.buffered).into_iter().collect();
        let path = self.store.path(&self.key);
        self.store
            .retry()
            .run(|| self.store.inner().put(&path, payload.clone()))
            .await
            .map(drop)
            .map_err(|e| self.store.bucket_error(&self.key, e))
    }

    async fn start_parts(&mut self) -> Result<()> {
        let path = self.store.path(&self.key);
        let upload = self
            .store
            .retry()
            .run(|| self.store.inner().put_multipart(&path))
            .await
            .map_err(|e| self.store.bucket_error(&self.key, e))?;
        self.parts = Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES));
        Ok(())
    }

    async fn push_part(&mut self, bytes: Bytes) -> Result<()> {
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        parts.put(bytes);
        let Err(error) = parts.wait_for_capacity(PARTS_IN_FLIGHT).await else {
            return Ok(());
        };
        if let Some(parts) = self.parts.take() {
            abort(parts, &self.key).await;
        }
        Err(self.store.error(&self.key, error))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let key = self.key.clone();
            runtime.spawn(async move { abort(parts, &key).await });
        }
    }
}

async fn abort(parts: WriteMultipart, key: &str) {
    if let Err(error) = parts.abort().await {
        tracing::warn!(key, %error, "a multipart upload could not be aborted; the bucket's lifecycle rule has to remove it");
    }
}
