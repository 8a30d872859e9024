//! Credentials are in no error, no log line and no document.

use bytes::Bytes;
use glass_dataset::{DatasetError, Store, StoreOptions};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;
use glass_schemas::spec::StoreSpec;

use crate::http::{in_a_process, refuse, serve};
use crate::support::{batch, dataset, quarantined, rows};

const SECRET: &str = "hunter2";
/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:9";

/// Everything an error tells anybody.
fn told(error: &DatasetError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
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
    let with = "http://me:hunter2@localhost:1";
    let mut cases = vec![
        ("s3://me:hunter2@bucket/x", nothing.clone()),
        ("az://container/x?sig=hunter2", nothing.clone()),
        ("gs://bucket/x#hunter2", nothing),
    ];
    for uri in ["s3://bucket", "gs://bucket", "az://container"] {
        cases.push((uri, options(Some(with), None)));
        cases.push((uri, options(None, Some(with))));
        cases.push((uri, options(None, Some("socks5://hunter2@localhost:1"))));
    }
    for (uri, options) in cases {
        let error = Store::open(uri, &options).unwrap_err();
        assert!(error.is_user_input());
        assert!(!told(&error).contains(SECRET), "{}", told(&error));
        assert!(told(&error).contains("environment"));
    }
}

/// In a process of its own, since its environment holds the credentials; nothing it prints may hold them.
fn asks(uri: &str, environment: &[(&str, &str)]) -> String {
    let environment: Vec<_> = environment.iter().copied().chain([("GLASS_TEST_URI", uri)]).collect();
    let said = in_a_process("secrets::asks_servers", &environment);
    assert!(!said.contains(SECRET), "{uri}: {said}");
    // As a header or a proxy's user holds it.
    for hidden in ["aHVudGVyMg", "aHVudGVyM", "h%75nter2", "bWU6aHVudGVyMg"] {
        assert!(!said.contains(hidden), "{uri}: {said}");
    }
    said
}

#[test]
fn failing_requests_show_no_credentials() {
    let key = r#"{"client_email": "a", "private_key_id": "hunter2", "private_key": "hunter2", "disable_oauth": true}"#;
    let connection = "AccountName=account;AccountKey=aHVudGVyMg==;BlobEndpoint=http://127.0.0.1:9/account";
    let signature = "BlobEndpoint=http://127.0.0.1:9/account;SharedAccessSignature=sv=1&sig=hunter2";
    let s3 = [
        ("AWS_ACCESS_KEY_ID", "access-hunter2"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", SECRET),
        ("AWS_REGION", "us-east-1"),
    ];
    let account = ("AZURE_STORAGE_ACCOUNT_NAME", "account");
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("s3://bucket/x", &s3),
        ("gs://bucket/x", &[("GOOGLE_SERVICE_ACCOUNT_KEY", key)]),
        ("gs://bucket/x", &[("GOOGLE_BEARER_TOKEN", SECRET)]),
        ("az://container/x", &[account, ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=hunter2")]),
        ("az://container/x", &[account, ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg==")]),
        ("az://container/x", &[account, ("AZURE_STORAGE_TOKEN", SECRET)]),
        ("az://container/x", &[("AZURE_STORAGE_CONNECTION_STRING", connection)]),
        ("az://container/x", &[("AZURE_STORAGE_CONNECTION_STRING", signature)]),
    ];
    for (uri, environment) in cases {
        let said = asks(uri, environment);
        assert!(said.contains("asked 2 servers"), "{said}");
    }
}

/// The password of a proxy is one too. Plain requests go through it, encrypted ones in a tunnel.
#[test]
fn a_proxys_password_is_not_shown() {
    let refusing = serve(refuse);
    let dead = DEAD.replace("http://", "http://me:hunter2@");
    let refusing = refusing.replace("http://", "http://me:hunter2@");
    let broken = "http://me:hunter2@[::1".to_owned();
    for (variable, endpoint) in [
        ("HTTP_PROXY", "http://store.invalid"),
        ("HTTPS_PROXY", "https://store.invalid"),
        ("ALL_PROXY", "https://store.invalid"),
        ("AWS_PROXY_URL", "https://store.invalid"),
        ("GOOGLE_PROXY_URL", "http://store.invalid"),
        ("AZURE_PROXY_URL", "https://store.invalid"),
    ] {
        for proxy in [&dead, &refusing, &broken] {
            let common = [(variable, proxy.as_str()), ("GLASS_TEST_ENDPOINT", endpoint)];
            let of_cloud: [(&str, &[(&str, &str)]); 3] = [
                ("s3://bucket/x", &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]),
                ("gs://bucket/x", &[("GOOGLE_BEARER_TOKEN", "b")]),
                ("az://container/x", &[("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AZURE_STORAGE_TOKEN", "b")]),
            ];
            for (uri, environment) in of_cloud {
                let cloud = [("s3", "AWS"), ("gs", "GOOGLE"), ("az", "AZURE")]
                    .map(|(scheme, cloud)| uri.starts_with(scheme).then_some(cloud));
                let own = cloud.iter().flatten().any(|cloud| variable.starts_with(cloud));
                if variable.ends_with("_URL") && !own {
                    continue;
                }
                let environment: Vec<_> = environment.iter().chain(&common).copied().collect();
                asks(uri, &environment);
            }
        }
    }
}

/// What is wrong with a key is said with the file's or the variable's name and the field's.
#[test]
fn keys_that_cannot_be_used_are_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (garbled, other) = (file("garbled.json", "{\"private_key\": \"hunter2"), file("other.json", "\"hunter2\""));
    let typed = file("typed.json", r#"{"type": "hunter2"}"#);
    let keyless = file("keyless.json", r#"{"client_email": "hunter2", "private_key_id": "hunter2"}"#);
    let broken = file("broken.json", r#"{"client_email": "a", "private_key_id": "b", "private_key": "hunter2"}"#);
    let missing = folder.path().join("missing.json").to_str().unwrap().to_owned();
    let inside = folder.path().to_str().unwrap();
    let with_password = r#"{"client_email": "", "private_key_id": "", "private_key": "", "disable_oauth": true, "gcs_base_url": "http://me:hunter2@localhost:1"}"#;
    type Environment<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Environment<'_>, &str); 12] = [
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT", &garbled)], "garbled.json` is no JSON: line 1"),
        ("gs://bucket", &[("GOOGLE_APPLICATION_CREDENTIALS", &other)], "other.json` holds no JSON object"),
        ("gs://bucket", &[("GOOGLE_APPLICATION_CREDENTIALS", &typed)], "`type` of the key file"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT", &keyless)], "keyless.json` has no `private_key`"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT", &broken)], "broken.json` is no RSA key in PEM form"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT", &missing)], "missing.json`: No such file"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT", inside)], "cannot read the key file"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT_KEY", "{hunter2}")], "`GOOGLE_SERVICE_ACCOUNT_KEY` is no JSON"),
        ("gs://bucket", &[("GOOGLE_SERVICE_ACCOUNT_KEY", with_password)], "`gcs_base_url` of the key file"),
        (
            "az://c",
            &[("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=hunter2")],
            "`AZURE_STORAGE_CONNECTION_STRING` has neither",
        ),
        ("az://c", &[("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AZURE_STORAGE_ACCOUNT_KEY", "hunter2!")], "is not base64"),
        ("s3://b", &[("AWS_ENDPOINT_URL", "http://me:hunter2@localhost:1")], "AWS_ENDPOINT_URL"),
    ];
    for (uri, environment, named) in cases {
        let environment: Vec<_> = environment.iter().copied().chain([("GLASS_TEST_ENDPOINT", "")]).collect();
        let said = asks(uri, &environment);
        assert!(said.contains("cannot be opened") && said.contains(named), "{named}: {said}");
    }
}

/// A dataset's documents hold nothing of the environment.
#[test]
fn documents_hold_no_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("GLASS_TEST_FOLDER", folder.path().to_str().unwrap()),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("GOOGLE_BEARER_TOKEN", SECRET),
        ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=hunter2"),
        ("HTTPS_PROXY", "http://me:hunter2@localhost:1"),
    ];
    in_a_process("secrets::writes_a_dataset", &environment);
    let mut read = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in std::fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let shown = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!shown, "{}", path.display());
            read += 1;
        }
    }
    // Identity, data, quarantine, commit, manifest, card.
    assert!(read >= 6, "{read} objects");
}

#[tokio::test]
#[ignore = "started by documents_hold_no_credentials with credentials in its environment"]
async fn writes_a_dataset() {
    let folder = std::env::var("GLASS_TEST_FOLDER").unwrap();
    let store = Store::open(&folder, &StoreOptions::default()).unwrap();
    let dataset = dataset(&store, 1).await;
    let failed = [quarantined("x.jpg")];
    dataset.write_shard(ShardIndex(0), MaskRow::schema(), vec![batch(&rows(3, 0.0))], &failed).await.unwrap();
    assert!(dataset.finish().await.unwrap().is_some());
}

/// Prints all that can be printed of stores whose server is dead or refuses, and all that is logged.
#[tokio::test]
#[ignore = "started by the tests above with credentials in its environment"]
async fn asks_servers() {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).with_ansi(false).init();
    let uri = std::env::var("GLASS_TEST_URI").unwrap();
    let endpoints = match std::env::var("GLASS_TEST_ENDPOINT") {
        Ok(endpoint) => vec![Some(endpoint).filter(|endpoint| !endpoint.is_empty())],
        Err(_) => vec![Some(DEAD.to_owned()), Some(serve(refuse))],
    };
    let mut asked = 0;
    for endpoint in endpoints {
        let options = options(endpoint.as_deref(), None);
        let store = match Store::open(&uri, &options) {
            Ok(store) => store,
            Err(error) => {
                println!("{uri} cannot be opened: {}", told(&error));
                assert!(error.is_user_input());
                continue;
            }
        };
        println!("{store:?} {options:?}");
        println!("{}", told(&store.get("a").await.unwrap_err()));
        println!("{}", told(&store.put("a", Bytes::from_static(b"x")).await.unwrap_err()));
        println!("{}", told(&store.list_keys("a").await.unwrap_err()));
        println!("{}", told(&store.list_folders("a").await.unwrap_err()));
        println!("{}", told(&store.delete("a").await.unwrap_err()));
        if uri.starts_with("s3:") {
            // Asked for through a signed address, which is a credential too.
            let error = store.unfinished_uploads("a").await.unwrap_err();
            println!("{}", told(&error));
            assert!(!told(&error).contains("X-Amz"), "{}", told(&error));
        }
        asked += 1;
    }
    println!("asked {asked} servers");
}
