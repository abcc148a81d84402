//! A file that is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Written under a temporary name beside its place; without [`WholeFile::finish`] it goes away again.
#[derive(Debug)]
pub(super) struct WholeFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: BufWriter<File>,
    bytes: u64,
}

impl WholeFile {
    /// Begins the file `path`.
    ///
    /// # Errors
    /// Something stands there that is no regular file, or what the file system refuses.
    pub fn create(path: &Path) -> io::Result<Self> {
        let place = match fs::metadata(path) {
            Ok(there) if there.is_file() => fs::canonicalize(path)?,
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "found something that is no regular file"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
            Err(error) => return Err(error),
        };
        let temporary = sibling(&place, "tmp")?;
        // Not that of another file to the same place.
        let writer = BufWriter::new(File::create_new(&temporary)?);
        Ok(WholeFile { path: place, temporary, writer, bytes: 0 })
    }

    /// Puts the file in its place; how many bytes it has.
    pub fn finish(mut self) -> io::Result<u64> {
        self.writer.flush()?;
        fs::rename(&self.temporary, &self.path)?;
        Ok(self.bytes)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // After `finish` there is none.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// A name beside `path` that no other process uses.
pub(super) fn sibling(path: &Path, purpose: &str) -> io::Result<PathBuf> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "found a path without a name of its own");
    let name = path.file_name().ok_or_else(no_name)?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{purpose}-{}", std::process::id())))
}
