//! Promises about creating an object that must not exist: what commits are made of.

use bytes::Bytes;
use futures::future::join_all;

use super::{Broken, Depth, Verdict, expect};
use crate::commit::{Created, create};
use crate::store::Store;

/// Without a race, so that a store that ignores the condition is told from one that is slow.
pub(super) async fn refuses_a_second_creator(place: &Store) -> Verdict {
    let key = "races/second.json";
    let first = create(place, key, Bytes::from_static(b"first")).await?;
    expect(first == Created::New, || "a new object is said to exist already".to_owned())?;
    let second = create(place, key, Bytes::from_static(b"second")).await?;
    let stored = place.get(key).await?;
    let kept = stored == "first" && matches!(second, Created::Found(_));
    expect(kept, || {
        "a conditional create replaced an object that was there: the store ignores the condition, so workers \
         would overwrite each other; a newer release of the server, or another store, is needed"
            .to_owned()
    })
}

pub(super) async fn one_winner(place: &Store, depth: Depth) -> Verdict {
    let (rounds, racers) = match depth {
        Depth::Short => (2, 3),
        Depth::Full => (10, 8),
    };
    for round in 0..rounds {
        race(place, &format!("races/{round}.json"), racers).await?;
    }
    Ok(())
}

/// Of several creators exactly one is told that it was the one, and its bytes stay.
async fn race(place: &Store, key: &str, racers: usize) -> Verdict {
    let running = (0..racers).map(|racer| {
        let (place, key) = (place.clone(), key.to_owned());
        let bytes = Bytes::from(format!("{racer}").repeat(1000));
        tokio::spawn(async move { (bytes.clone(), create(&place, &key, bytes).await) })
    });
    let mut winners = Vec::new();
    let mut told = Vec::new();
    for joined in join_all(running).await {
        let (bytes, created) = joined.map_err(|e| Broken::Answer(e.to_string()))?;
        match created? {
            Created::New => winners.push(bytes),
            Created::Found(found) => told.push(found),
        }
    }
    expect(winners.len() == 1, || {
        format!("of {racers} creators of one object {} were told that they made it", winners.len())
    })?;
    let stored = place.get(key).await?;
    let same = winners.iter().chain(&told).all(|bytes| *bytes == stored);
    expect(same, || "the object does not hold what its creator wrote".to_owned())
}
