//! Azure's connection string: account, credential and endpoint in one variable, as its portal and command line
//! give it. The object store's own client does not know it.

use object_store::ClientConfigKey;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

/// The variable that Azure's own tools read.
pub(super) const VARIABLE: &str = "AZURE_STORAGE_CONNECTION_STRING";
/// The end of a host's name where the string names none.
const SUFFIX: &str = "core.windows.net";

/// Fills in what no variable of its own says.
///
/// # Errors
/// What is wrong, and nothing of what stands there.
pub(super) fn fill(builder: MicrosoftAzureBuilder, text: &str) -> Result<MicrosoftAzureBuilder, String> {
    let mut parts = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        // A key ends with `=`, so the first one is the sign.
        let pair = part.split_once('=').ok_or_else(|| format!("`{VARIABLE}` has a part without `=`"))?;
        parts.push((pair.0.trim().to_ascii_lowercase(), pair.1.trim()));
    }
    let part = |name: &str| parts.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| *value);
    if part("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(set(builder, AzureConfigKey::UseEmulator, Some("true".to_owned())));
    }
    let account = part("accountname");
    let protocol = part("defaultendpointsprotocol").unwrap_or("https");
    let endpoint = part("blobendpoint").map(|endpoint| endpoint.trim_end_matches('/').to_owned());
    let named =
        account.map(|account| format!("{protocol}://{account}.blob.{}", part("endpointsuffix").unwrap_or(SUFFIX)));
    let endpoint = endpoint.or(named);
    if endpoint.is_none() {
        return Err(format!("`{VARIABLE}` has neither `AccountName` nor `BlobEndpoint`"));
    }
    // With an address of its own an endpoint may leave the account to its host's name.
    let of_host = || endpoint.as_deref()?.split_once("://")?.1.split(['.', '/', ':']).next().map(str::to_owned);
    let account = account.map(str::to_owned).or_else(of_host);
    let plain = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = set(builder, AzureConfigKey::AccountName, account);
    builder = set(builder, AzureConfigKey::AccessKey, part("accountkey").map(str::to_owned));
    builder = set(builder, AzureConfigKey::SasKey, part("sharedaccesssignature").map(str::to_owned));
    builder = set(builder, AzureConfigKey::Endpoint, endpoint);
    Ok(match plain {
        true => builder.with_config(AzureConfigKey::Client(ClientConfigKey::AllowHttp), "true"),
        false => builder,
    })
}

fn set(builder: MicrosoftAzureBuilder, key: AzureConfigKey, value: Option<String>) -> MicrosoftAzureBuilder {
    match value {
        Some(value) if !is_set(&builder, key) => builder.with_config(key, value),
        _ => builder,
    }
}

fn is_set(builder: &MicrosoftAzureBuilder, key: AzureConfigKey) -> bool {
    // Whether to use the emulator is always known; it is off unless somebody says so.
    key != AzureConfigKey::UseEmulator && builder.get_config_value(&key).is_some()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn filled(text: &str) -> impl Fn(AzureConfigKey) -> Option<String> {
        let builder = fill(MicrosoftAzureBuilder::new(), text).unwrap();
        move |key| builder.get_config_value(&key)
    }

    #[test]
    fn an_account_and_its_key() {
        let value = filled(
            "DefaultEndpointsProtocol=https;AccountName=lab;AccountKey=c2VjcmV0==;EndpointSuffix=core.windows.net",
        );
        assert_eq!(value(AzureConfigKey::AccountName).as_deref(), Some("lab"));
        assert_eq!(value(AzureConfigKey::AccessKey).as_deref(), Some("c2VjcmV0=="));
        assert_eq!(value(AzureConfigKey::Endpoint).as_deref(), Some("https://lab.blob.core.windows.net"));
    }

    #[test]
    fn an_endpoint_and_a_signature() {
        let value = filled("BlobEndpoint=https://lab.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D");
        assert_eq!(value(AzureConfigKey::AccountName).as_deref(), Some("lab"));
        assert_eq!(value(AzureConfigKey::SasKey).as_deref(), Some("sv=1&sig=a%3D"));
        assert_eq!(value(AzureConfigKey::Endpoint).as_deref(), Some("https://lab.blob.core.windows.net"));
    }

    #[test]
    fn a_variable_of_its_own_wins() {
        let builder = MicrosoftAzureBuilder::new().with_account("other");
        let builder = fill(builder, "AccountName=lab;AccountKey=c2VjcmV0").unwrap();
        assert_eq!(builder.get_config_value(&AzureConfigKey::AccountName).as_deref(), Some("other"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_not_shown() {
        for text in ["hunter2", "AccountKey=hunter2", ";;"] {
            let refused = fill(MicrosoftAzureBuilder::new(), text).err().unwrap();
            assert!(refused.contains(VARIABLE) && !refused.contains("hunter2"), "{refused}");
        }
    }
}
