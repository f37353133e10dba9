//! S3 configuration without the feature `aws`: from environment variables, a web identity, or the role of the machine.
//! Profiles and SSO need that feature.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, RetryConfig};
use pipeline::storage::{S3Options, choose_tls};

use super::s3::Variables;

/// Variable with the address of all AWS services.
const ENDPOINT_OF_ALL: &str = "AWS_ENDPOINT_URL";
/// Variables with the region, in order of precedence.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Longest wait for the metadata service of the machine, which is absent outside AWS.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Bucket name for the builder, which needs one; only its credentials are used.
const ANY_BUCKET: &str = "bucket";

/// Options for S3.
pub(super) fn s3_options(variables: &Variables) -> S3Options {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let of_all = variable(ENDPOINT_OF_ALL).filter(|_| !variables.ignore_endpoints);
    S3Options {
        region: REGIONS.iter().find_map(|name| variable(name)),
        endpoint: variables.endpoint_of_all.clone().or_else(|| variables.endpoint.clone()).or(of_all),
        credentials: credentials().map(|provider| Arc::new(Credentials(provider)) as _),
        skip_signature: variables.skip_signature,
    }
}

fn credentials() -> Option<AwsCredentialProvider> {
    choose_tls();
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 1, retry_timeout: METADATA_TIMEOUT };
    let client = ClientOptions::new().with_timeout(METADATA_TIMEOUT).with_connect_timeout(METADATA_TIMEOUT);
    let builder = AmazonS3Builder::from_env().with_bucket_name(ANY_BUCKET).with_allow_http(true);
    let store = builder.with_retry(retry).with_client_options(client).build().ok()?;
    Some(store.credentials().clone())
}

/// Credentials, with advice if there are none.
#[derive(Debug)]
struct Credentials(AwsCredentialProvider);

#[async_trait::async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.0.get_credential().await.map_err(|error| {
            let advice = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                          AWS_SKIP_SIGNATURE=true for a public bucket; for AWS_PROFILE and SSO, install a build with \
                          --features aws";
            object_store::Error::Generic { store: "S3", source: format!("{advice} ({error})").into() }
        })
    }
}
