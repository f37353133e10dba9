//! Finds the reference data, for the tests of every crate. A clone does not have these files: the raw records of the
//! CAI study, a full-size pickled model with the redshifts that PyTorch computed, and real SDSS galaxies.
//!
//! Tests that need them are `#[ignore]`d. To run them:
//! `COSMICAI_SHARED=/FOLDER cargo test --workspace --features cosmicai/aws --tests -- --ignored --skip write_the_corpus
//! --skip external_s3_server --skip archive_larger_than_its_memory`

use std::path::{Path, PathBuf};

/// Path of a file or folder of the reference data.
///
/// # Panics
/// If `COSMICAI_SHARED` is not set, or the folder that it names has no such file.
#[track_caller]
pub(crate) fn reference_data(name: &str) -> PathBuf {
    let Some(folder) = std::env::var_os("COSMICAI_SHARED") else {
        panic!("this test needs `{name}` of the reference data: set COSMICAI_SHARED to the folder that has it");
    };
    // Cargo runs tests in the folder of their crate: a relative path would be resolved in that folder.
    let folder = Path::new(&folder);
    assert!(folder.is_absolute(), "COSMICAI_SHARED is `{}`: an absolute path is expected", folder.display());
    let path = folder.join(name);
    assert!(path.exists(), "`{}` does not exist: COSMICAI_SHARED names an incomplete folder", path.display());
    path
}
