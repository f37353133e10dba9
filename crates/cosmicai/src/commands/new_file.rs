//! Files that appear whole or not at all: written beside their place, then renamed; taken away if the program is
//! interrupted before.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio_util::task::AbortOnDropHandle;

use super::interruption::when_interrupted;

/// A file being written under a temporary name; gone again unless [`NewFile::keep`] is called.
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    /// Takes the file away when the program is interrupted; None where there is no runtime to listen.
    _guard: Option<AbortOnDropHandle<()>>,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<NewFile> {
        let is_url = path.to_string_lossy().contains("://");
        ensure!(
            !is_url,
            "`{}`: a file of this machine is expected; copy it to object storage afterwards",
            path.display()
        );
        let name = path.file_name().with_context(|| format!("`{}` is not the name of a file", path.display()))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        }
        // The process id keeps two programs that write the same file out of each other's way.
        let temporary = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        // Listening begins before there is anything to take away.
        let (unwritten, part) = (path.to_owned(), temporary.clone());
        let guard = when_interrupted(move || {
            drop(std::fs::remove_file(part));
            eprintln!("interrupted: `{}` was not written", unwritten.display());
        });
        let file = File::create(&temporary).with_context(|| format!("create `{}`", temporary.display()))?;
        let writer = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(NewFile { path: path.to_owned(), temporary, writer, _guard: guard })
    }

    /// Where it lies until it is kept; what was flushed can be read there.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Flushes and moves the file into its place.
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
        // After `keep` there is nothing under this name; before it, what is there is not whole.
        drop(std::fs::remove_file(&self.temporary));
    }
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).with_context(|| format!("write `{}`", path.display()))?;
    file.keep()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_only_when_kept() {
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
}
