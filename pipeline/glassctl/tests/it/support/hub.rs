//! A stand-in of the hub: the routes, headers and redirections that a download sees.
//!
//! Large files are redirected to a storage under another host name, as the hub does, so that it
//! shows whether a token is carried there.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::sha256;

/// What happens to one request instead of an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A status with these headers.
    Status(u16, &'static str),
    /// The line breaks after this many bytes of the body.
    Cut(usize),
    /// Nothing more comes after this many bytes of the body.
    Stall(usize),
    /// Another body of the same length, whose headers say nothing of it.
    Lie,
}

#[derive(Default)]
struct State {
    /// Contents, and whether they lie in the storage.
    files: BTreeMap<String, (Vec<u8>, bool)>,
    faults: BTreeMap<(String, String), VecDeque<Fault>>,
    log: Vec<String>,
    leaked: bool,
    known: bool,
}

/// A running stand-in; it ends with the test's process.
pub struct Hub {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    from: Option<usize>,
    token: Option<String>,
}

impl Hub {
    pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    pub const TOKEN: &str = "hf_secretOfTheTests";

    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, stream) = (shared.clone(), stream.unwrap());
                // A client that goes away in the middle is part of the tests.
                std::thread::spawn(move || drop(serve(stream, port, &state)));
            }
        });
        Self { port, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts a small file there, which the hub sends itself.
    pub fn small(&self, path: &str, contents: impl Into<Vec<u8>>) -> &Self {
        self.state.lock().unwrap().files.insert(path.to_owned(), (contents.into(), false));
        self
    }

    /// Puts a large file there, which comes from the storage.
    pub fn large(&self, path: &str, contents: impl Into<Vec<u8>>) -> &Self {
        self.state.lock().unwrap().files.insert(path.to_owned(), (contents.into(), true));
        self
    }

    /// The next such request for a file goes wrong.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) -> &Self {
        let key = (method.to_owned(), path.to_owned());
        self.state.lock().unwrap().faults.entry(key).or_default().push_back(fault);
        self
    }

    /// What was asked since the last look: `GET config.json`, `GET model.safetensors from 100`.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    /// Whether the hub itself was shown the token of the tests.
    pub fn known(&self) -> bool {
        self.state.lock().unwrap().known
    }

    /// Whether the storage was shown a token.
    pub fn leaked(&self) -> bool {
        self.state.lock().unwrap().leaked
    }
}

fn serve(mut stream: TcpStream, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read(&stream)?;
    if let Some(digest) = request.path.strip_prefix("/storage/") {
        return storage(&mut stream, &request, digest.split('?').next().unwrap_or_default(), state);
    }
    let resolve = request.path.strip_prefix("/owner/name/resolve/").and_then(|rest| rest.split_once('/'));
    let Some((_, path)) = resolve else {
        return answer(&mut stream, 404, "x-error-code: RepoNotFound\r\n", b"");
    };
    let found = state.lock().unwrap().files.get(path).cloned();
    let Some((contents, large)) = found else {
        return answer(&mut stream, 404, "x-error-code: EntryNotFound\r\n", b"");
    };
    let token = format!("Bearer {}", Hub::TOKEN);
    state.lock().unwrap().known |= request.token.as_deref() == Some(token.as_str());
    let fault = note(&request, path, large, state);
    if let Some(Fault::Status(status, headers)) = fault {
        return answer(&mut stream, status, headers, b"");
    }
    let (commit, size, digest) = (Hub::COMMIT, contents.len(), sha256(&contents));
    if large {
        let place = format!("http://localhost:{port}/storage/{digest}?signature=secret");
        let headers = format!(
            "x-repo-commit: {commit}\r\nx-linked-etag: \"{digest}\"\r\nx-linked-size: {size}\r\netag: \"other\"\r\nlocation: {place}\r\n"
        );
        return answer(&mut stream, 302, &headers, b"");
    }
    let headers = format!("x-repo-commit: {commit}\r\netag: W/\"{}\"\r\n", &digest[..40]);
    match request.method.as_str() {
        "HEAD" => head(&mut stream, 200, size, &headers),
        _ => body(&mut stream, &request, &headers, &contents, fault),
    }
}

fn storage(stream: &mut TcpStream, request: &Request, digest: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let found = {
        let mut state = state.lock().unwrap();
        state.leaked |= request.token.is_some();
        state
            .files
            .iter()
            .find(|(_, (contents, _))| sha256(contents) == digest)
            .map(|(path, (contents, _))| (path.clone(), contents.clone()))
    };
    let (path, contents) = found.unwrap();
    match note(request, &path, false, state) {
        Some(Fault::Status(status, headers)) => answer(stream, status, headers, b""),
        fault => body(stream, request, "", &contents, fault),
    }
}

/// Logs a request where its body comes from, and gives what is to go wrong with it.
fn note(request: &Request, path: &str, redirected: bool, state: &Mutex<State>) -> Option<Fault> {
    let mut state = state.lock().unwrap();
    if redirected && request.method == "GET" {
        return None;
    }
    let from = request.from.map_or(String::new(), |from| format!(" from {from}"));
    state.log.push(format!("{} {path}{from}", request.method));
    state.faults.get_mut(&(request.method.clone(), path.to_owned()))?.pop_front()
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, from: None, token: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                request.from = value
                    .trim()
                    .strip_prefix("bytes=")
                    .and_then(|range| range.strip_suffix('-'))
                    .and_then(|from| from.parse().ok())
            }
            "authorization" => request.token = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Ok(request)
}

fn body(
    stream: &mut TcpStream,
    request: &Request,
    headers: &str,
    contents: &[u8],
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let from = request.from.unwrap_or(0);
    let mut rest = contents[from..].to_vec();
    if let Some(Fault::Lie) = fault {
        rest.iter_mut().for_each(|byte| *byte ^= 0xff);
    }
    let range = format!("content-range: bytes {from}-{}/{}\r\n", contents.len() - 1, contents.len());
    match request.from {
        Some(_) => head(stream, 206, rest.len(), &format!("{headers}{range}"))?,
        None => head(stream, 200, rest.len(), headers)?,
    }
    match fault {
        Some(Fault::Cut(bytes)) => stream.write_all(&rest[..bytes])?,
        Some(Fault::Stall(bytes)) => {
            stream.write_all(&rest[..bytes])?;
            std::thread::sleep(Duration::from_secs(20));
        }
        _ => stream.write_all(&rest)?,
    }
    stream.shutdown(Shutdown::Write)
}

fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    head(stream, status, body.len(), headers)?;
    stream.write_all(body)
}

fn head(stream: &mut TcpStream, status: u16, length: usize, headers: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} .\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n")
}
