//! Files that appear complete or not at all: written under a temporary name in the same folder, then renamed. An
//! interruption deletes the temporary file. A pipe or a device is never replaced: [`write`] writes into it.

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use pipeline::event::Stopwatch;
use tokio_util::task::AbortOnDropHandle;

use crate::interruption::when_interrupted;
use crate::printer::write_message;

/// Largest number of temporary names that are tried.
const MAX_NAMES: usize = 16;
/// Time to wait for a process that reads from a pipe, in seconds.
const READER_SECONDS: f64 = 5.0;

/// A file under a temporary name. Dropping it deletes the file unless [`NewFile::keep`] was called.
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    /// Deletes the file when the program is interrupted; `None` outside a runtime, which could not listen.
    _guard: Option<AbortOnDropHandle<()>>,
}

impl NewFile {
    /// Creates the temporary file, and its folder if necessary. If `path` is a link to a file, that file is replaced
    /// later, not the link.
    pub(crate) fn create(path: &Path) -> Result<NewFile> {
        let is_url = path.to_string_lossy().contains("://");
        ensure!(!is_url, "`{}`: expected a file of this machine; copy it to object storage afterwards", path.display());
        let path = match kind(path)? {
            Kind::New => path.to_owned(),
            Kind::File => path.canonicalize().with_context(|| format!("find `{}`", path.display()))?,
            Kind::Special => bail!("`{}` is a pipe or a device; expected the name of a file", path.display()),
        };
        let name = path.file_name().with_context(|| format!("`{}` is not the name of a file", path.display()))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        }
        for _ in 0..MAX_NAMES {
            let temporary = path.with_file_name(format!(".{}.{:016x}.part", name.to_string_lossy(), random()));
            // Listen before the file exists, so that no interruption is missed.
            let (unwritten, part) = (path.clone(), temporary.clone());
            let guard = when_interrupted(move || {
                drop(std::fs::remove_file(part));
                write_message(&format!("interrupted: `{}` was not written", unwritten.display()));
            });
            // Never open a file that exists: another user may have put a link there.
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let writer = Some(BufWriter::with_capacity(1 << 20, file));
                    return Ok(NewFile { path, temporary, writer, _guard: guard });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("create `{}`", temporary.display())),
            }
        }
        bail!("`{}`: no free name for a temporary file beside it", path.display())
    }

    /// Temporary path. Flushed bytes can be read there.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Syncs the file to disk and renames it to its final name.
    pub(crate) fn keep(mut self) -> Result<()> {
        let writer = self.writer.take();
        let path = self.path.display();
        if let Some(writer) = writer {
            let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all()).with_context(|| format!("write `{path}`"))?;
        }
        std::fs::rename(&self.temporary, &self.path).with_context(|| format!("write `{path}`"))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.as_mut().map_or(Ok(0), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `keep` there is no file of this name; before, the file is incomplete.
        drop(std::fs::remove_file(&self.temporary));
    }
}

/// Kind of the file that a path names, after links.
enum Kind {
    /// There is no file.
    New,
    /// Regular file.
    File,
    /// Pipe, device or socket.
    Special,
}

fn kind(path: &Path) -> Result<Kind> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Kind::File),
        Ok(found) if found.is_dir() => bail!("`{}` is a folder; expected the name of a file", path.display()),
        Ok(_) => Ok(Kind::Special),
        Err(_) if path.is_symlink() => bail!("`{}` is a link to a file that does not exist", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kind::New),
        Err(error) => Err(error).with_context(|| format!("find `{}`", path.display())),
    }
}

/// Number that another process cannot guess: the hash of nothing with the random keys of a new map.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Writes a file, or writes into a pipe or a device.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if matches!(kind(path), Ok(Kind::Special)) {
        wait_for_reader(path)?;
        let mut special =
            File::options().write(true).open(path).with_context(|| format!("open `{}`", path.display()))?;
        return special.write_all(bytes).with_context(|| format!("write `{}`", path.display()));
    }
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).with_context(|| format!("write `{}`", path.display()))?;
    file.keep()
}

/// Waits until a process reads from a pipe. To open a pipe without a reader would take forever.
fn wait_for_reader(path: &Path) -> Result<()> {
    let since = Stopwatch::start();
    loop {
        let opened = File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        match opened {
            Ok(_) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) && since.seconds() < READER_SECONDS => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("open `{}`: does a process read from it?", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_appears_only_after_keep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.bin");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn follows_a_link_and_refuses_one_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.csv"), folder.path().join("link.csv"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("a.csv", &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        std::fs::remove_file(&file).unwrap();
        let error = write(&link, b"new").unwrap_err().to_string();
        assert!(error.contains("a link to a file that does not exist"), "{error}");
        assert!(write(folder.path(), b"new").unwrap_err().to_string().contains("is a folder"));
    }

    #[test]
    fn writes_into_a_pipe_and_never_replaces_it() {
        use std::os::unix::fs::FileTypeExt;

        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("o.csv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(NewFile::create(&pipe).err().unwrap().to_string().contains("a pipe or a device"));
        let read = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write(&pipe, b"rows").unwrap();
        assert_eq!(read.join().unwrap(), b"rows");
        assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }

    /// To open a pipe without a reader would take forever.
    #[test]
    fn refuses_a_pipe_that_no_process_reads() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("o.csv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = format!("{:#}", write(&pipe, b"rows").unwrap_err());
        assert!(error.contains("does a process read from it?"), "{error}");
    }

    #[test]
    fn temporary_files_are_new_and_have_names_that_nobody_guesses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.pt");
        let files = [NewFile::create(&path).unwrap(), NewFile::create(&path).unwrap()];
        assert_ne!(files[0].temporary(), files[1].temporary());
        let pid = std::process::id().to_string();
        assert!(files.iter().all(|file| !file.temporary().to_string_lossy().contains(&format!(".{pid}."))));
    }
}
