//! Sets `COSMICAI_COMMIT` to the commit of the sources, so that measured records can state it.
//!
//! Does not set it without git, or if the sources are inside another repository, such as an unpacked archive. Cargo
//! runs this script again when HEAD changes, not at every build.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    // Without this line, cargo runs this script whenever a file of the crate changes.
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_own_repository = git(&root, &["rev-parse", "--show-toplevel"]).is_some_and(
        |top| matches!((PathBuf::from(top).canonicalize(), root.canonicalize()), (Ok(a), Ok(b)) if a == b),
    );
    if !is_own_repository {
        return;
    }
    // In a worktree `.git` is a file, so ask git for the paths. Skip missing files, which would rerun this at every
    // build.
    let mut watched = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
    watched.extend(git(&root, &["symbolic-ref", "--quiet", "HEAD"]));
    for name in watched {
        if let Some(path) = git(&root, &["rev-parse", "--git-path", &name]).map(|path| root.join(path))
            && path.exists()
        {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    if let Some(commit) = git(&root, &["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=COSMICAI_COMMIT={commit}");
    }
}

/// Runs git, and returns its output without the final newline. `None` if it fails or prints nothing.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned()).filter(|text| !text.is_empty())
}
