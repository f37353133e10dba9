//! S3 as the AWS tools find it: variables, `~/.aws/config` and `~/.aws/credentials`, SSO, roles of the machine.

use std::env;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use pipeline::storage::S3Options;
use tokio::sync::Mutex;

/// Address of S3 alone; the other variables are read by `aws-config`.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_S3";
/// `true` makes every address from variables and files be ignored.
const IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
/// `true` sends requests without credentials, for public buckets.
const SKIP_SIGNATURE: &str = "AWS_SKIP_SIGNATURE";
/// Credentials are renewed so long before they end.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// What the environment says of S3 that `aws-config` does not read.
#[derive(Debug)]
pub(super) struct Variables {
    /// An address that a person gave for this command, before which none of the environment counts.
    pub(super) endpoint_of_all: Option<String>,
    endpoint: Option<String>,
    skip_signature: bool,
}

impl Variables {
    pub(super) fn from_environment() -> Self {
        let is_true = |name| env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        let endpoint = env::var(ENDPOINT).ok().filter(|url| !url.is_empty() && !is_true(IGNORE_ENDPOINTS));
        Self { endpoint_of_all: None, endpoint, skip_signature: is_true(SKIP_SIGNATURE) }
    }

    /// Region and endpoint from variables and the profile; credentials from the whole default chain, asked for when
    /// they are first needed. The machine's metadata service is not asked for a region: where it is not there, every
    /// command would wait for it.
    pub(super) async fn config(&self) -> SdkConfig {
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
        if let Some(endpoint) = &self.endpoint_of_all {
            loader = loader.endpoint_url(endpoint);
        }
        loader.load().await
    }

    /// How to reach S3.
    pub(super) async fn s3_options(&self) -> S3Options {
        let config = self.config().await;
        let endpoint = self.endpoint_of_all.as_ref().or(self.endpoint.as_ref());
        S3Options {
            region: config.region().map(ToString::to_string),
            endpoint: endpoint.cloned().or_else(|| config.endpoint_url().map(str::to_owned)),
            credentials: config.credentials_provider().map(|chain| Arc::new(Credentials::new(chain)) as _),
            skip_signature: self.skip_signature,
        }
    }
}

/// The credentials of the default chain, kept until shortly before they end.
#[derive(Debug)]
struct Credentials {
    chain: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<AwsCredential>,
    end: Option<SystemTime>,
}

impl Credentials {
    fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, kept: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        let soon = SystemTime::now() + RENEW_BEFORE;
        if let Some(Kept { credential, end }) = &*kept
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
        *kept = Some(Kept { credential: credential.clone(), end: found.expiry() });
        Ok(credential)
    }
}

/// The cause at the end of an error's sources, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
