//! Credentials are in no error, no log line and no document.

use bytes::Bytes;
use glass_dataset::{DatasetError, Store, StoreOptions};
use glass_schemas::spec::StoreSpec;

const SECRET: &str = "hunter2";

/// Everything an error tells anybody.
fn told(error: &DatasetError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    format!("{causes:?} {error:?} {:?}", error.hint())
}

fn options(endpoint: Option<&str>, proxy: Option<&str>) -> StoreOptions {
    let spec = StoreSpec {
        endpoint: endpoint.map(str::to_owned),
        proxy: proxy.map(str::to_owned),
        retries: 1,
        retry_seconds: 1,
        timeout_seconds: 1,
        ..StoreSpec::default()
    };
    StoreOptions::from(&spec)
}

#[test]
fn addresses_with_credentials_are_refused_without_showing_them() {
    let nothing = options(None, None);
    for (uri, options) in [
        ("s3://me:hunter2@bucket/x", nothing.clone()),
        ("az://container/x?sig=hunter2", nothing.clone()),
        (
            "s3://bucket",
            options(Some("http://me:hunter2@localhost:1"), None),
        ),
        (
            "s3://bucket",
            options(None, Some("http://me:hunter2@localhost:1")),
        ),
    ] {
        let error = Store::open(uri, &options).unwrap_err();
        assert!(error.is_user_input());
        assert!(!told(&error).contains(SECRET), "{}", told(&error));
        assert!(told(&error).contains("environment"));
    }
}

/// A process of its own, since its environment holds the credentials.
#[test]
fn failing_requests_show_no_credentials() {
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args([
            "--exact",
            "secrets::asks_dead_servers",
            "--nocapture",
            "--ignored",
        ])
        .env("AWS_ACCESS_KEY_ID", "access-hunter2")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", SECRET)
        .env("AWS_REGION", "us-east-1")
        .env("AZURE_STORAGE_ACCOUNT_NAME", "account")
        .env("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=hunter2")
        .env("GLASS_TEST_NO_SECRET", "1")
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(said.contains("asked 4 servers"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
}

/// Prints all that can be printed of stores whose server is dead or refuses.
#[tokio::test]
#[ignore = "started by failing_requests_show_no_credentials with credentials in its environment"]
async fn asks_dead_servers() {
    let refusing = refusing_server();
    let mut asked = 0;
    for uri in ["s3://bucket/x", "az://container/x"] {
        for endpoint in ["http://127.0.0.1:9".to_owned(), refusing.clone()] {
            let options = options(Some(&endpoint), None);
            let store = Store::open(uri, &options).unwrap();
            println!("{store:?} {options:?}");
            println!("{}", told(&store.get("a").await.unwrap_err()));
            println!(
                "{}",
                told(&store.put("a", Bytes::from_static(b"x")).await.unwrap_err())
            );
            println!("{}", told(&store.list_keys("a").await.unwrap_err()));
            if uri.starts_with("s3:") {
                // Asked for through a signed address, which is a credential too.
                let error = store.unfinished_uploads("a").await.unwrap_err();
                println!("{}", told(&error));
                assert!(!told(&error).contains("X-Amz"), "{}", told(&error));
            }
            asked += 1;
        }
    }
    println!("asked {asked} servers");
}

/// Answers every request with 403 and the request's own first line, as real servers do.
fn refusing_server() -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let body = "<Error><Code>AccessDenied</Code></Error>";
            let head = format!(
                "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    endpoint
}
