//! What a program without the feature `aws` answers to commands that need it.

/// Message for `what`, a command or option that needs AWS.
pub(crate) fn message(what: &str) -> String {
    format!(
        "{what} needs a build with AWS support, which this program does not have; install one with: cargo install --path \
         crates/cosmicai --features aws"
    )
}
