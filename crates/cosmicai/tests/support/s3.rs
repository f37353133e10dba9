//! S3 server on a port of this machine that serves a folder, for programs that a test runs.

#[path = "../../../pipeline/tests/support/s3.rs"]
mod server;

use std::path::Path;

use assert_cmd::Command;
use tokio::runtime::Runtime;

pub(crate) struct Server {
    address: String,
    /// Runtime of the server. Dropping it stops the server.
    _runtime: Runtime,
}

impl Server {
    /// Starts a server whose buckets are the folders in `root`.
    pub(crate) fn start(root: &Path) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let address = runtime.block_on(server::serve(root));
        Server { address, _runtime: runtime }
    }

    /// Sets the endpoint and the credentials of the server in the environment of a command.
    pub(crate) fn env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ENDPOINT_URL", &self.address)
            .env("AWS_ACCESS_KEY_ID", server::KEY)
            .env("AWS_SECRET_ACCESS_KEY", server::SECRET)
            .env("AWS_REGION", "us-east-1")
    }
}
