//! Plots as files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use plots::Plot;

use crate::new_file;

/// Writes plots into a folder, each as SVG and PNG, and returns the paths.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write_plots(plots: &[Plot], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut written = Vec::with_capacity(2 * plots.len());
    for plot in plots {
        for (ending, bytes) in [("svg", plot.svg.as_bytes()), ("png", &plot.png)] {
            let path = folder.join(format!("{}.{ending}", plot.name));
            new_file::write(&path, bytes)?;
            written.push(path);
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_both_forms_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let plot = Plot { name: "dz_histogram", svg: "<svg/>".to_owned(), png: vec![1, 2] };
        let written = write_plots(&[plot], &folder.path().join("new")).unwrap();
        let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["dz_histogram.svg", "dz_histogram.png"]);
        assert_eq!(std::fs::read(&written[1]).unwrap(), [1, 2]);
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 2);
    }
}
