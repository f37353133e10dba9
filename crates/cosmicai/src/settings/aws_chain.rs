//! AWS configuration from the same sources as the AWS CLI: environment variables, `~/.aws/config`,
//! `~/.aws/credentials`, SSO, and roles of the machine.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_types::service_config::ServiceConfigKey;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use pipeline::storage::S3Options;
use tokio::sync::Mutex;

use super::s3::Variables;

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Loads region and endpoint from variables and the profile, and credentials from the default chain when they are first
/// needed. Does not ask the metadata service of the machine for a region: on machines without one, every command would
/// wait for it.
pub(super) async fn config(variables: &Variables) -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let client = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region).http_client(client);
    if let Some(endpoint) = &variables.endpoint_of_all {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

/// Options for S3.
pub(super) async fn s3_options(variables: &Variables) -> S3Options {
    let config = config(variables).await;
    let endpoint = match (&variables.endpoint_of_all, &variables.endpoint) {
        (Some(given), _) | (None, Some(given)) => Some(given.clone()),
        (None, None) => endpoint_of_s3(&config),
    };
    S3Options {
        region: config.region().map(ToString::to_string),
        endpoint,
        credentials: config.credentials_provider().map(|chain| Arc::new(Credentials::new(chain)) as _),
        skip_signature: variables.skip_signature,
    }
}

/// Address of S3 from AWS_ENDPOINT_URL, from the `services` section that the profile names, or from the profile.
fn endpoint_of_s3(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok();
    let of_service = config.service_config().zip(key).and_then(|(services, key)| services.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Credentials of the default chain, cached until shortly before they expire.
#[derive(Debug)]
struct Credentials {
    chain: SharedCredentialsProvider,
    cached: Mutex<Option<CachedCredential>>,
}

#[derive(Debug)]
struct CachedCredential {
    credential: Arc<AwsCredential>,
    end: Option<SystemTime>,
}

impl Credentials {
    fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, cached: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut cached = self.cached.lock().await;
        let soon = SystemTime::now() + RENEW_BEFORE;
        if let Some(CachedCredential { credential, end }) = &*cached
            && end.is_none_or(|end| soon < end)
        {
            return Ok(credential.clone());
        }
        let found = self.chain.provide_credentials().await.map_err(|error| {
            let advice = "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                          AWS_SKIP_SIGNATURE=true for a public bucket";
            object_store::Error::Generic { store: "S3", source: format!("{advice} ({})", innermost(&error)).into() }
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *cached = Some(CachedCredential { credential: credential.clone(), end: found.expiry() });
        Ok(credential)
    }
}

/// Last cause of an error, which is the most specific one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
