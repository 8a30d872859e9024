//! A server of a few lines, for what a store's client makes of answers.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// What a client asked for.
pub struct Request {
    pub method: String,
    /// With the query, as it was sent.
    pub target: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What it hears.
pub enum Answer {
    /// Status line, further header lines, body.
    Reply(&'static str, String, Vec<u8>),
    /// Nothing: the connection is closed.
    HangUp,
}

/// Answers every request on this machine until the process ends; the address to reach it.
pub fn serve(answer: impl Fn(Request) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read(&stream) else { continue };
            let head = request.method == "HEAD";
            if let Answer::Reply(status, headers, body) = answer(request) {
                let length = body.len();
                let lines =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n");
                let _ = stream.write_all(lines.as_bytes());
                let _ = stream.write_all(if head { &[] } else { &body });
            }
        }
    });
    endpoint
}

/// Refuses every request, and proxies nothing.
pub fn refuse(_: Request) -> Answer {
    Answer::Reply("403 Forbidden", String::new(), b"<Error><Code>AccessDenied</Code></Error>".to_vec())
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

/// Runs an ignored test of this binary in a process of its own, whose environment names no cloud but what is
/// given; what it printed.
pub fn in_a_process(test: &str, environment: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars() {
        let upper = name.to_uppercase();
        if ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|cloud| upper.starts_with(cloud)) || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    // Without a home no file of the user's is read.
    let output = command
        .args(["--exact", test, "--nocapture", "--ignored"])
        .env_remove("HOME")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    said
}
