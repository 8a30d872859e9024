//! Promises about single objects.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Verdict, expect};
use crate::store::Store;
use crate::upload::Upload;

/// Objects in the long listing: more than the thousand that S3 lists at once.
const MANY: usize = 1050;
/// Bytes of an upload that goes in parts.
const LARGE: usize = 20 << 20;

pub(super) async fn reads_its_writes(place: &Store) -> Verdict {
    for text in ["first", "second, longer"] {
        let key = "objects/written.txt";
        place.put(key, Bytes::from_static(text.as_bytes())).await?;
        let read = place.get(key).await?;
        expect(read == text, || format!("wrote `{text}`, read {} other bytes", read.len()))?;
    }
    let listed = place.list_keys("objects").await?;
    expect(listed == ["objects/written.txt"], || format!("wrote one object, listed {listed:?}"))
}

pub(super) async fn missing_is_missing(place: &Store) -> Verdict {
    let key = "objects/deleted.txt";
    let never = place.get_if_there("objects/never.txt").await?;
    expect(never.is_none(), || "an object that was never written is there".to_owned())?;
    place.put(key, Bytes::from_static(b"x")).await?;
    place.delete(key).await?;
    // Deleting is retried, so it must not matter that it was done before.
    place.delete(key).await?;
    let deleted = place.get_if_there(key).await?;
    expect(deleted.is_none(), || "a deleted object is still there".to_owned())
}

pub(super) async fn ranges(place: &Store) -> Verdict {
    let key = "objects/ranges.bin";
    let bytes: Vec<u8> = (0..4096_u32).map(|n| (n % 251) as u8).collect();
    place.put(key, bytes.clone().into()).await?;
    let wanted = [0..1, 17..1000, 4000..4096];
    let several = place.get_ranges(key, &wanted).await?;
    for (range, together) in wanted.into_iter().zip(several) {
        let expected = &bytes[range.start as usize..range.end as usize];
        let alone = place.get_range(key, range.clone()).await?;
        let same = alone == expected && together == expected;
        expect(same, || format!("bytes {range:?} are not those that were written there"))?;
    }
    Ok(())
}

pub(super) async fn long_listing(place: &Store) -> Verdict {
    let written = stream::iter(0..MANY)
        .map(|number| async move { place.put(&format!("many/{number:05}"), Bytes::from_static(b"x")).await });
    let () = written.buffer_unordered(16).try_collect().await?;
    let mut listed = place.list_keys("many").await?;
    listed.sort();
    listed.dedup();
    expect(listed.len() == MANY, || format!("wrote {MANY} objects, listed {}", listed.len()))
}

pub(super) async fn parts(place: &Store) -> Verdict {
    let bytes: Bytes = (0..LARGE).map(|n| ((n * 31) >> 7) as u8).collect();
    let upload = |key: &str| Upload::new(place.clone(), key.to_owned());
    let mut whole = upload("parts/whole.bin");
    let mut given_up = upload("parts/given-up.bin");
    for piece in 0..LARGE / (1 << 20) {
        let piece = bytes.slice(piece << 20..(piece + 1) << 20);
        whole.push(piece.clone()).await?;
        given_up.push(piece).await?;
    }
    let early = place.list_keys("parts").await?;
    expect(early.is_empty(), || format!("{early:?} can be seen before the upload ended"))?;
    given_up.abort().await;
    let (digest, size) = whole.finish().await?;
    let read = place.get("parts/whole.bin").await?;
    let same = size == LARGE as u64 && read == bytes;
    expect(same, || format!("uploaded {LARGE} bytes ({digest}), read {} others", read.len()))?;
    let listed = place.list_keys("parts").await?;
    expect(listed == ["parts/whole.bin"], || format!("an upload that was given up left {listed:?}"))
}
