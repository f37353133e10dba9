//! Rules of a listing: which objects are hidden, and how a folder of this machine is listed if it holds names that
//! `object_store` cannot represent.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path as FilePath;

use object_store::path::Path;
use walkdir::{DirEntry, WalkDir};

use super::bucket::MAX_OBJECTS;
use super::warnings::OddObject;

/// Problem of a key that `object_store` cannot represent.
pub(super) const ODD_KEY: &str = "its key has an empty part, `.`, `..` or a control character; rename it";

/// Returns true if an object is hidden: its name or a folder above it begins with a dot, as in `.ipynb_checkpoints/1.pt`
/// (a copy of Jupyter), `._1.pt` (a companion of macOS) and `.1.pt`. Every command ignores hidden objects in folders.
/// `below` is the key below the listed folder; a folder that the user names may be hidden itself.
pub(super) fn is_hidden(below: &str) -> bool {
    below.split('/').any(|part| part.starts_with('.') && part != "." && part != "..")
}

/// Lists the files under a folder of this machine, with links followed. `root` is the folder of the bucket, `folder` the
/// key of the listed folder. Returns the keys, and what cannot be read because of its name. Stops after [`MAX_OBJECTS`]
/// of each.
///
/// # Errors
/// A folder cannot be read.
pub(super) fn walk(root: &FilePath, folder: &str) -> io::Result<(Vec<Path>, Vec<OddObject>)> {
    let (mut keys, mut odd) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(root.join(folder)).min_depth(1).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if is_unfinished(&entry) => {}
            Ok(entry) => match key(root, &entry) {
                Ok(key) if entry.file_type().is_file() => keys.push(key),
                Ok(_) => {}
                // The files in a folder with an odd name are named themselves.
                Err(_) if entry.file_type().is_dir() => {}
                Err(problem) => odd.push(OddObject { name: shown(root, entry.path()), problem }),
            },
            Err(error) => {
                let is_broken_link = error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound);
                match error.loop_ancestor().zip(error.path()) {
                    Some((above, path)) => {
                        let problem = format!("a link to a folder above it, `{}`", shown(root, above));
                        odd.push(OddObject { name: shown(root, path), problem });
                    }
                    None if is_broken_link => {}
                    None => return Err(error.into()),
                }
            }
        }
        if keys.len().max(odd.len()) > MAX_OBJECTS {
            break;
        }
    }
    Ok((keys, odd))
}

/// Returns true for a file that `object_store` is writing, such as `1.pt#1`.
fn is_unfinished(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.rsplit_once('#').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Key of a file.
fn key(root: &FilePath, entry: &DirEntry) -> Result<Path, String> {
    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let text = below.to_str().ok_or("its name is not UTF-8; rename it")?;
    match Path::parse(text) {
        Ok(key) if key.as_ref() == text => Ok(key),
        _ => Err("its name has a control character; rename it".to_owned()),
    }
}

/// Path below the folder of the bucket, with escapes for bytes that cannot be shown.
fn shown(root: &FilePath, path: &FilePath) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let part = |part: &OsStr| {
        let quoted = format!("{part:?}");
        quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
    };
    below.iter().map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn names_that_begin_with_a_dot_are_hidden() {
        for hidden in [".1.pt", "._1.pt", ".ipynb_checkpoints/1.pt", "a/.b/c/1.pt", "a//.x.pt"] {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for seen in ["1.pt", "a/1.pt", "./1.pt", "a/../1.pt", "", "1..pt"] {
            assert!(!is_hidden(seen), "{seen}");
        }
    }

    #[test]
    fn walks_around_names_and_links_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("d/e")).unwrap();
        std::fs::write(root.join("d/e/1.pt"), "1").unwrap();
        std::fs::write(root.join("d/é %2F.pt"), "2").unwrap();
        std::fs::write(root.join("d").join(OsStr::from_bytes(b"caf\xe9.pt")), "3").unwrap();
        std::fs::write(root.join("d/a\tb.pt"), "4").unwrap();
        std::fs::write(root.join("d/5.pt#1"), "5").unwrap();
        std::os::unix::fs::symlink(root.join("d"), root.join("d/e/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("d/broken.pt")).unwrap();
        let (keys, odd) = walk(root, "d").unwrap();
        let keys: Vec<&str> = keys.iter().map(Path::as_ref).collect();
        assert_eq!(keys, ["d/e/1.pt", "d/é %2F.pt"]);
        let odd: Vec<(&str, &str)> = odd.iter().map(|odd| (odd.name.as_str(), odd.problem.as_str())).collect();
        assert_eq!(
            odd,
            [
                ("d/a\\tb.pt", "its name has a control character; rename it"),
                ("d/caf\\xE9.pt", "its name is not UTF-8; rename it"),
                ("d/e/loop", "a link to a folder above it, `d`"),
            ]
        );
    }
}
