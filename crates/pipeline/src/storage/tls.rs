//! TLS for stores: one implementation, chosen here, so that the program links no second one.

/// Makes `ring` the TLS implementation of this process, unless the program has chosen another one. [`Stores::open`]
/// does this too; call it before any other HTTP client is built.
///
/// [`Stores::open`]: super::Stores::open
pub fn choose_tls() {
    // An error means that one is chosen already.
    drop(rustls::crypto::ring::default_provider().install_default());
}
