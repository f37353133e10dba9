//! Tells the program the commit of its sources, `COSMICAI_COMMIT`, where git knows it: for records of what was measured.
//!
//! Nothing is told where there is no git, or where the sources lie in somebody else's repository, as those of an archive
//! that was unpacked there do. It runs again when HEAD moves, and not at every build.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    // Without any such line, cargo would run this whenever a file of the crate changes.
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_ours = git(&root, &["rev-parse", "--show-toplevel"]).is_some_and(
        |top| matches!((PathBuf::from(top).canonicalize(), root.canonicalize()), (Ok(a), Ok(b)) if a == b),
    );
    if !is_ours {
        return;
    }
    // In a worktree `.git` is a file, so git says where these are. One that is not there would make every build run this.
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

/// What git answers on one line; None where it does not.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| answer.trim_end().to_owned()).filter(|answer| !answer.is_empty())
}
