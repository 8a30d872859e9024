//! A bad network between a client and a server: every connection fails after a number of bytes.
//!
//! ```text
//! bad_network LISTEN TARGET SEED MAGNITUDE STALL-SECONDS     bad_network 127.0.0.1:18500 127.0.0.1:18333 1 13 8
//! ```
//!
//! Connection n gets the fault and the byte that the seed and n draw: cut (a reset) in a request or
//! in an answer, half closed in either direction, or stalled in either (nothing more passes, nothing
//! is closed). The byte is drawn evenly by its order of magnitude, up to so many powers of two, so that
//! small requests are hit as well as large uploads: an answer cut at its first byte is one that is lost
//! after the server did what it was asked. Prints `fault count` lines, the faults that were reached, when it is
//! terminated.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// Bytes forwarded at once.
const CHUNK: usize = 16 << 10;

/// What befalls a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Cut,
    HalfClose,
    Stall,
}

/// Which way the bytes go that the fault waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

const FAULTS: [(Fault, Way, &str); 6] = [
    (Fault::Cut, Way::Request, "request cut"),
    (Fault::Cut, Way::Answer, "answer cut"),
    (Fault::HalfClose, Way::Request, "request half closed"),
    (Fault::HalfClose, Way::Answer, "answer half closed"),
    (Fault::Stall, Way::Request, "request stalled"),
    (Fault::Stall, Way::Answer, "answer stalled"),
];

/// A fault that waits for a byte of one direction.
#[derive(Clone)]
struct Trap {
    after: u64,
    fault: Fault,
    name: &'static str,
    stall: Duration,
    reached: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// What the connections of a run are drawn from, and which faults were reached.
struct Network {
    seed: u64,
    /// The last byte that a fault may wait for, as a power of two.
    magnitude: u64,
    stall: Duration,
    connections: u64,
    reached: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// The connection is to be torn down.
struct Torn;

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target, seed, magnitude, stall] = arguments.as_slice() else {
        return Err(io::Error::other("usage: bad_network LISTEN TARGET SEED MAGNITUDE STALL-SECONDS"));
    };
    let mut network = Network {
        seed: number(seed)?,
        magnitude: number(magnitude)?.min(62),
        stall: Duration::from_secs(number(stall)?),
        connections: 0,
        reached: Arc::new(Mutex::new(FAULTS.map(|(_, _, name)| (name, 0)).into())),
    };
    let listener = TcpListener::bind(listen).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let (client, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = terminate.recv() => break,
        };
        let (way, trap) = network.next();
        let target = target.clone();
        tokio::spawn(async move {
            // A server that is away is one more fault: the client's connection is closed.
            if let Ok(server) = TcpStream::connect(target).await {
                let _ = join(client, server, way, trap).await;
            }
        });
    }
    println!("connections {}", network.connections);
    for (name, count) in network.reached.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{name} {count}");
    }
    Ok(())
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("`{text}` is no number")))
}

impl Network {
    /// What befalls the next connection.
    fn next(&mut self) -> (Way, Trap) {
        let mut state = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.connections;
        self.connections += 1;
        let (fault, way, name) = FAULTS[(next(&mut state) % FAULTS.len() as u64) as usize];
        let magnitude = next(&mut state) % (self.magnitude + 1);
        let after = next(&mut state) % (1 << magnitude);
        (way, Trap { after, fault, name, stall: self.stall, reached: Arc::clone(&self.reached) })
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Forwards both ways until both sides have closed or the fault ends the connection.
async fn join(client: TcpStream, server: TcpStream, way: Way, trap: Trap) -> io::Result<()> {
    if trap.fault == Fault::Cut {
        // Closing then sends a reset instead of an orderly end.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (request, answer) = match way {
        Way::Request => (Some(trap), None),
        Way::Answer => (None, Some(trap)),
    };
    // The first that is torn drops both.
    let _ = tokio::try_join!(forward(from_client, to_server, request), forward(from_server, to_client, answer));
    Ok(())
}

/// Forwards one way to its end, or to the byte that the trap waits for.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trap: Option<Trap>) -> Result<(), Torn> {
    let mut left = trap.as_ref().map_or(u64::MAX, |trap| trap.after);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await.map_err(|_| Torn)?;
        if read == 0 {
            return to.shutdown().await.map_err(|_| Torn);
        }
        let passes = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        to.write_all(&buffer[..passes]).await.map_err(|_| Torn)?;
        left -= passes as u64;
        if passes == read {
            continue;
        }
        // A trap is what limits `left`.
        let Some(trap) = &trap else { return Err(Torn) };
        *trap.reached.lock().unwrap_or_else(PoisonError::into_inner).entry(trap.name).or_default() += 1;
        return match trap.fault {
            Fault::Cut => Err(Torn),
            Fault::HalfClose => {
                let closed = to.shutdown().await;
                // What else comes this way is lost.
                while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                closed.map_err(|_| Torn)
            }
            Fault::Stall => {
                tokio::time::sleep(trap.stall).await;
                Err(Torn)
            }
        };
    }
}
