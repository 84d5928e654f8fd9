use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use tower_x402::server::BoxError;

const LENGTH: usize = 32;

/// Reads the master secret in this folder, or creates one if there is none yet.
pub(crate) fn master_secret(folder: &Path) -> Result<[u8; LENGTH], BoxError> {
    fs::create_dir_all(folder)?;
    let path = folder.join("master-secret");
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path),
        read => read.map_err(|error| format!("{}: {error}", path.display()).into()),
    }
}

/// Creates a secret that ends with this process.
pub(crate) fn temporary() -> io::Result<[u8; LENGTH]> {
    let mut secret = [0; LENGTH];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(secret)
}

fn read(path: &Path) -> io::Result<[u8; LENGTH]> {
    let file = fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(
            "expected a file that only its owner can read (mode 0600)",
        ));
    }
    let mut bytes = Vec::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    bytes
        .try_into()
        .map_err(|_| io::Error::other("expected exactly 32 bytes"))
}

/// Creates the file. It is written completely under another name first, so that nobody ever reads
/// half a secret.
fn make(folder: &Path, path: &Path) -> Result<[u8; LENGTH], BoxError> {
    let secret = temporary()?;
    let draft = folder.join(format!("master-secret.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    fs::File::open(folder)?.sync_all()?;
    match linked {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read(path)?),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new");
        let secret = master_secret(&inner).unwrap();
        assert_eq!(master_secret(&inner).unwrap(), secret);
        let path = inner.join("master-secret");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            master_secret(&inner)
                .unwrap_err()
                .to_string()
                .contains("mode 0600")
        );
    }

    #[test]
    fn a_damaged_secret_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master-secret");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap()
            .write_all(b"short")
            .unwrap();
        assert!(
            master_secret(folder.path())
                .unwrap_err()
                .to_string()
                .contains("exactly 32 bytes")
        );
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
