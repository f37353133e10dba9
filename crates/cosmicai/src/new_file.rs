//! Files that appear complete or not at all: written under a temporary name in the same folder, then renamed. An
//! interruption deletes the temporary file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio_util::task::AbortOnDropHandle;

use crate::interruption::when_interrupted;
use crate::printer::write_message;

/// A file under a temporary name. Dropping it deletes the file unless [`NewFile::keep`] was called.
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    /// Deletes the file when the program is interrupted; `None` outside a runtime, which could not listen.
    _guard: Option<AbortOnDropHandle<()>>,
}

impl NewFile {
    /// Creates the temporary file, and its folder if necessary.
    pub(crate) fn create(path: &Path) -> Result<NewFile> {
        let is_url = path.to_string_lossy().contains("://");
        ensure!(!is_url, "`{}`: expected a file of this machine; copy it to object storage afterwards", path.display());
        let name = path.file_name().with_context(|| format!("`{}` is not the name of a file", path.display()))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        }
        // With the process id in the name, two processes can write the same file at the same time.
        let temporary = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        // Listen before the file exists, so that no interruption is missed.
        let (unwritten, part) = (path.to_owned(), temporary.clone());
        let guard = when_interrupted(move || {
            drop(std::fs::remove_file(part));
            write_message(&format!("interrupted: `{}` was not written", unwritten.display()));
        });
        let file = File::create(&temporary).with_context(|| format!("create `{}`", temporary.display()))?;
        let writer = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(NewFile { path: path.to_owned(), temporary, writer, _guard: guard })
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

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).with_context(|| format!("write `{}`", path.display()))?;
    file.keep()
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
}
